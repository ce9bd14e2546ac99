/** What views need is opened by the first and closed a moment after the last. Used by the adapters for React and Vue. */

import type { Off, Realtime } from "../types.js";

/** Views come and go in one turn: React's StrictMode, hot reload, a change of page. They find what was open before. */
const KEEP_MS = 1000;

const holders = new WeakMap<Realtime, number>();

/** Start something. The returned function ends it a moment later. */
export function keep(start: () => Off): Off {
  const stop = start();
  return () => void setTimeout(stop, KEEP_MS);
}

/** Keep the client connected, until the last of those that hold it lets go. What the site has connected stays so. */
export function hold(client: Realtime): Off {
  const count = holders.get(client);
  if (count === undefined && !["idle", "closed"].includes(client.state.status)) return () => {};
  holders.set(client, (count ?? 0) + 1);
  if (count === undefined) client.connect();
  return () => {
    const left = holders.get(client)! - 1;
    if (left > 0) holders.set(client, left);
    else if (holders.delete(client)) client.close();
  };
}
