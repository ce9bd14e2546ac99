/**
 * One tab leads the others: it holds a lock, and the socket. When it goes, another one gets the lock. Loaded where no
 * worker works. Then each tab has the code that leads, also if the site has other files by the time that it has to.
 */

import type { Transport } from "../types.js";
import { Host } from "./host.js";
import { EVERYBODY, type Line, type ToHost, type ToTab } from "./wire.js";

export function leadBy(key: string, transport: Transport, hear: (event: MessageEvent<ToTab>) => void): Line {
  const channel = new BroadcastChannel(key);
  const stop = new AbortController();
  const { signal } = stop;
  channel.onmessage = hear;
  // The lock is held until this tab goes, so that the request of another one is granted then.
  navigator.locks.request(key, { signal }, () => serve(transport, key, signal)).catch(() => {});
  return {
    postMessage: (message) => channel.postMessage(message),
    close() {
      stop.abort();
      channel.close();
    },
  };
}

/**
 * What the tab that leads does for the others: it has the host, until it goes or another one leads. A channel does not
 * hear itself, so the host has one of its own: then the tab that leads is a tab like all others.
 */
function serve(transport: Transport, key: string, stop: AbortSignal): Promise<void> {
  const host = new Host(transport);
  const channel = new BroadcastChannel(key);
  const post = (message: ToTab): void => channel.postMessage(message);
  return new Promise((resolve) => {
    const end = (): void => {
      host.close();
      channel.close();
      resolve();
    };
    if (stop.aborted) return end();
    stop.onabort = end;
    channel.onmessage = ({ data }: MessageEvent<ToHost | ToTab>) => {
      if (data.to === "host") host.hear(data as ToHost, post);
      // Another one leads.
      else if (data.to === EVERYBODY) host.close();
    };
    post({ to: EVERYBODY });
  });
}
