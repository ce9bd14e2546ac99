/** One socket for all tabs: in a SharedWorker, else in the tab that leads, else each tab has its own. */

import { Connection } from "../connection.js";
import type { Link, LinkEvents } from "../link.js";
import type { Settings } from "../settings.js";
import type { Options } from "../types.js";
import { leadBy } from "./leader.js";
import { RemoteLink } from "./remote.js";
import { BUILD, type OpenLine } from "./wire.js";

export function openShared(settings: Settings, { worker, transport }: Options, events: LinkEvents): Link {
  // Tabs have one session cookie, but each may have a token of another user.
  const isSafe = settings.user !== undefined || !settings.credentials.source;
  // Without locks nobody would notice that a tab has died. Browsers have them on pages that came over TLS.
  const isPossible = navigator.locks && typeof BroadcastChannel !== "undefined";
  if (!isSafe || !isPossible) return new Connection(settings, events);
  const key = `realtime-${BUILD}-${settings.url}-${settings.user ?? ""}`;
  const kinds = [leadBy(key, settings.transport)];
  if (worker && !transport && typeof SharedWorker !== "undefined") kinds.unshift(workIn(worker, key));
  return new RemoteLink(settings, events, kinds);
}

/** Tabs that name the worker alike share it. */
function workIn(address: string | URL, name: string): OpenLine {
  return (hear, onFailure) => {
    let port: MessagePort | undefined;
    try {
      const worker = new SharedWorker(address, { name });
      worker.onerror = onFailure;
      port = worker.port;
      port.onmessage = ({ data }) => hear(data);
    } catch {
      // The address is of another origin, or the page's policy forbids it.
      queueMicrotask(onFailure);
    }
    return {
      name: "worker",
      post: (message) => port?.postMessage(message),
      close: () => port?.close(),
    };
  };
}
