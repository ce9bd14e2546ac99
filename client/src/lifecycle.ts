/** The browser's events that tell a connection to look at the clock, to let go, or to come back. */

import type { Off } from "./types.js";

export interface Sleeper {
  wake(): void;
  suspend(): void;
  restore(): void;
}

/** Does nothing where there is no page, as on a server. */
export function watchPage(sleeper: Sleeper): Off {
  const stop = new AbortController();
  const on = (target: EventTarget | undefined, type: string, listener: (event: any) => void): void =>
    target?.addEventListener(type, listener, { signal: stop.signal });
  const page = typeof document === "undefined" ? undefined : document;
  const browser = typeof window === "undefined" ? undefined : window;
  on(browser, "online", () => sleeper.wake());
  on(browser, "offline", () => sleeper.wake());
  on(page, "visibilitychange", () => page?.visibilityState === "visible" && sleeper.wake());
  // A page with an open socket is not kept for the way back, and one that is kept must not hold a dead socket.
  on(browser, "pagehide", (event: PageTransitionEvent) => event.persisted && sleeper.suspend());
  on(browser, "pageshow", (event: PageTransitionEvent) => event.persisted && sleeper.restore());
  on(page, "freeze", () => sleeper.suspend());
  on(page, "resume", () => sleeper.restore());
  return () => stop.abort();
}

export function isOffline(): boolean {
  return typeof navigator !== "undefined" && navigator.onLine === false;
}
