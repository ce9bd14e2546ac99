/** The browser's events that tell a connection to look at the clock, to let go, or to come back. */

import type { Link } from "./link.js";
import type { Off } from "./types.js";

const EVENTS = "online offline pageshow visibilitychange resume pagehide freeze";

/** Hears nothing where there is no page, as on a server. */
export function watchPage(link: () => Link | undefined): Off {
  const stop = new AbortController();
  const listener = ({ type, persisted = type !== "visibilitychange" || !document.hidden }: any): void => {
    if (!persisted) return;
    // A page with an open socket is not kept for the way back, and one that is kept must not hold a dead socket.
    if (/hide|freeze/.test(type)) link()?.close();
    else link()?.wake();
  };
  // While an event is captured, the window hears also what happens to the document.
  const choice = { capture: true, signal: stop.signal };
  if (globalThis.document) for (const type of EVENTS.split(" ")) window.addEventListener(type, listener, choice);
  return () => stop.abort();
}

export function isOffline(): boolean {
  return globalThis.navigator?.onLine === false;
}
