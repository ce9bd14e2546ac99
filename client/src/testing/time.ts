/** The time as the server writes it: with microseconds. Used by all that makes frames. */

export function now(): string {
  return new Date().toISOString().replace("Z", "000Z");
}

/** In a microtask. Not by `queueMicrotask`, which the fake timers of Jest replace. */
export function soon(run: () => void): void {
  void Promise.resolve().then(run);
}
