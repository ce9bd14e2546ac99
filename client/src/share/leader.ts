/** One tab leads the others: it holds a lock, and the socket. When it goes, another one gets the lock. */

import type { Transport } from "../types.js";
import type { Host } from "./host.js";
import { EVERYBODY, type Kind, type ToHost, type ToTab } from "./wire.js";

export function leadBy(key: string, transport: Transport): Kind {
  return {
    name: "leader",
    open(hear, onFailure) {
      const channel = new BroadcastChannel(key);
      const stop = new AbortController();
      const { signal } = stop;
      channel.onmessage = ({ data }) => hear(data);
      // Only the tab that leads needs the code of a host.
      const lead = async (): Promise<void> => {
        const host = await import("./host.js").catch(onFailure);
        if (host) await serve(new host.Host(transport), key, signal);
      };
      // The lock is held until this tab goes, so that the request of another one is granted then.
      navigator.locks.request(key, { signal }, lead).catch(() => {});
      return {
        post: (message) => channel.postMessage(message),
        close() {
          stop.abort();
          channel.close();
        },
      };
    },
  };
}

/** A channel does not hear itself, so the host has one of its own: then the tab that leads is a tab like all others. */
function serve(host: Host, key: string, stop: AbortSignal): Promise<void> {
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
