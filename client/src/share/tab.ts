/** The transport of a tab that shares a socket: what it opens is a line to the host, which has the socket. */

import type { Transport } from "../types.js";
import { BUILD, EVERYBODY, type Kind, type ToHost, type ToTab } from "./wire.js";

/** A host that says nothing for so long is none, or has crashed: the next kind is tried. */
const SILENCE_MS = 4_000;

/**
 * `kinds` are those of hosts that are left to try. When none works, the tab has a socket of its `own`. `again` opens a
 * socket at once, in the place of one that has ended.
 */
export function shareBy(kinds: Kind[], own: Transport, again: () => unknown): Transport {
  return {
    get name() {
      return (kinds[0] ?? own).name;
    },

    open(request, events) {
      const [kind] = kinds;
      if (!kind) return own.open(request, events);
      // The name of this socket, and of the lock that the tab holds meanwhile: when it is free, the tab has gone.
      const tab = `realtime-${BUILD}-${Math.random()}`;
      let isOpen = true;
      let isHeard = false;
      let release!: () => void;
      const closed = new Promise<void>((resolve) => (release = resolve));

      const reopen = (): void => {
        if (!isOpen) return;
        events.close(0, "");
        again();
      };
      /** This kind of host does not work here, perhaps because of the page's Content-Security-Policy. */
      const fail = (): void => {
        if (isOpen) kinds.shift();
        reopen();
      };
      // The last kind may take its time: another tab leads, or is about to.
      const silence = setTimeout(() => kinds.length > 1 && fail(), SILENCE_MS);
      const hear = ({ data: { to, text, code, reason = "" } }: MessageEvent<ToTab>): void => {
        if (!isOpen || (to !== tab && to !== EVERYBODY)) return;
        clearTimeout(silence);
        if (to === EVERYBODY) return isHeard ? reopen() : say({ request });
        isHeard = true;
        if (text) events.message(text);
        else if (code !== undefined) events.close(code, reason);
      };
      const line = kind.open(hear, fail).catch(fail);
      const say = (message: Partial<ToHost>): void =>
        void line.then((one) => one?.postMessage({ ...message, to: "host", tab }));
      void navigator.locks.request(tab, () => {
        if (isOpen) say({ request });
        return closed;
      });
      return {
        send: (text) => say({ text }),
        close() {
          isOpen = false;
          clearTimeout(silence);
          say({});
          void line.then((one) => one?.close());
          release();
        },
      };
    },
  };
}
