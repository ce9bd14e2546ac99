/** The time as the server writes it: with microseconds. Used by all that makes frames. */

export function now(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
