/** One tab leads the others: it holds a lock, and the socket. When it goes, another one gets the lock. */

import type { Transport } from "../types.js";
import type { Kind } from "./wire.js";

export function leadBy(key: string, transport: Transport): Kind {
  return {
    name: "leader",
    open(hear, onFailure) {
      const channel = new BroadcastChannel(key);
      const stop = new AbortController();
      const { signal } = stop;
      channel.onmessage = ({ data }) => hear(data);
      // Only the tab that leads needs this code.
      const lead = async (): Promise<void> => {
        const leading = await import("./serve.js").catch(onFailure);
        await leading?.serve(transport, key, signal);
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
