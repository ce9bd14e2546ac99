/** The browser's events that tell a connection to look at the clock, to let go, or to come back. */

import type { Off } from "./types.js";

export interface Sleeper {
  wake(): void;
  suspend(): void;
}

/** Does nothing where there is no page, as on a server. */
export function watchPage(sleeper: () => Sleeper | undefined): Off {
  if (!globalThis.document) return () => {};
  const stop = new AbortController();
  const on = (target: EventTarget, types: string, action: (sleeper: Sleeper) => void): void => {
    // A page with an open socket is not kept for the way back, and one that is kept must not hold a dead socket.
    const listener = ({ type, persisted = type !== "visibilitychange" || !document.hidden }: any): unknown =>
      persisted && sleeper() && action(sleeper()!);
    // Only the `signal` of `stop` counts here.
    for (const type of types.split(" ")) target.addEventListener(type, listener, stop);
  };
  const wake = (one: Sleeper): void => one.wake();
  const suspend = (one: Sleeper): void => one.suspend();
  on(window, "online offline pageshow", wake);
  on(document, "visibilitychange resume", wake);
  on(window, "pagehide", suspend);
  on(document, "freeze", suspend);
  return () => stop.abort();
}

export function isOffline(): boolean {
  return globalThis.navigator?.onLine === false;
}
