/** The browser's events that tell a connection to look at the clock, to let go, or to come back. */

import type { Off } from "./types.js";

export interface Sleeper {
  wake(): void;
  suspend(): void;
  restore(): void;
}

/** Does nothing where there is no page, as on a server. */
export function watchPage(sleeper: () => Sleeper | undefined): Off {
  if (typeof document === "undefined") return () => {};
  const stop = new AbortController();
  const on = (target: EventTarget, types: string, action: keyof Sleeper, counts = (_: any): boolean => true): void => {
    const listener = (event: Event): unknown => counts(event) && sleeper()?.[action]();
    for (const type of types.split(" ")) target.addEventListener(type, listener, { signal: stop.signal });
  };
  // A page with an open socket is not kept for the way back, and one that is kept must not hold a dead socket.
  const isKept = ({ persisted }: PageTransitionEvent): boolean => persisted;
  on(window, "online offline", "wake");
  on(document, "visibilitychange", "wake", () => !document.hidden);
  on(window, "pagehide", "suspend", isKept);
  on(window, "pageshow", "restore", isKept);
  on(document, "freeze", "suspend");
  on(document, "resume", "restore");
  return () => stop.abort();
}

export function isOffline(): boolean {
  return typeof navigator !== "undefined" && navigator.onLine === false;
}
