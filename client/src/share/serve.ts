/** What the tab that leads does for the others: it has the host, until it goes or another one leads. */

import type { Transport } from "../types.js";
import { Host } from "./host.js";
import { EVERYBODY, type ToHost, type ToTab } from "./wire.js";

/** A channel does not hear itself, so the host has one of its own: then the tab that leads is a tab like all others. */
export function serve(transport: Transport, key: string, stop: AbortSignal): Promise<void> {
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
