/** What the end of a socket means, and how long to wait (pure). The codes are those of `docs/protocol.md`. */

import type { Disconnect } from "./frames.js";

export const UNAUTHENTICATED = 4401;
const FORBIDDEN = 4403;

/**
 * The state in which the client stays; undefined: it comes back. `goodbye` is the server's last frame; undefined if the
 * socket broke without one.
 */
export function judge(code: number, goodbye: Disconnect | undefined): "signedOut" | "closed" | undefined {
  return goodbye?.reconnect
    ? undefined
    : [UNAUTHENTICATED, FORBIDDEN].includes(code)
      ? "signedOut"
      : // After these, another socket would end in the same way.
        goodbye || [1007, 1009, 4400].includes(code)
        ? "closed"
        : undefined;
}

/** Refusals that are over soon: the same command or request is sent again. */
export function isPassing(code?: string): boolean {
  return /NETWORK|RATE_LIMITED|UNAVAILABLE|HTTP_(429|5..)/.test(code!);
}

/** Full jitter: a random part of a time that doubles. `failures` is 0 before the first attempt to come back. */
export function choosePause(failures: number, firstMs: number, longestMs: number): number {
  return Math.random() * Math.min(longestMs, firstMs * 2 ** failures);
}
