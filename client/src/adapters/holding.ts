/** The client is connected by the first view that needs it, and closed a moment after the last. Used by both adapters. */

import type { Off, Realtime } from "../types.js";

/** Views come and go in one turn: React's StrictMode, hot reload, a change of page. They find the socket still open. */
const LINGER_MS = 1000;

const holders = new WeakMap<Realtime, number>();

/** Keep the client connected, until the last of those that hold it lets go. What the site has connected stays so. */
export function hold(client: Realtime): Off {
  const count = holders.get(client);
  const isClosed = ["idle", "closed", "signedOut"].includes(client.state.status);
  if (count === undefined && !isClosed) return () => {};
  holders.set(client, (count ?? 0) + 1);
  if (isClosed) client.connect();
  return () => void setTimeout(() => release(client), LINGER_MS);
}

function release(client: Realtime): void {
  const left = holders.get(client)! - 1;
  if (left > 0) holders.set(client, left);
  else if (holders.delete(client)) client.close();
}
