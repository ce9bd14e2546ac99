/** One tab leads the others: it holds a lock, and the socket. When it goes, another one gets the lock. */

import type { Transport } from "../types.js";
import { Host } from "./host.js";
import { EVERYBODY, type OpenLine, type ToHost, type ToTab } from "./wire.js";

export function leadBy(key: string, transport: Transport): OpenLine {
  return (hear) => {
    const channel = new BroadcastChannel(key);
    const stop = new AbortController();
    channel.onmessage = ({ data }: MessageEvent<ToTab | ToHost>) => {
      if (data.to !== "host") hear(data as ToTab);
    };
    // The lock is held until this tab goes, so that the request of another one is granted then.
    navigator.locks.request(key, { signal: stop.signal }, () => lead(key, transport, stop.signal)).catch(() => {});
    return {
      name: "leader",
      post: (message) => channel.postMessage(message),
      close() {
        stop.abort();
        channel.close();
      },
    };
  };
}

/** A channel does not hear itself, so the host has one of its own: then the tab that leads is a tab like all others. */
function lead(key: string, transport: Transport, stop: AbortSignal): Promise<void> {
  const host = new Host(transport);
  const channel = new BroadcastChannel(key);
  const post = (message: ToTab): void => channel.postMessage(message);
  channel.onmessage = ({ data }: MessageEvent<ToTab | ToHost>) => {
    if (data.to === "host") host.hear(data as ToHost, post);
  };
  post({ to: EVERYBODY, type: "who" });
  return new Promise((resolve) => {
    stop.addEventListener("abort", () => {
      host.close();
      channel.close();
      resolve();
    });
  });
}
