/** The transport of a tab that shares a socket: what it opens is a line to the host, which has the socket. */

import type { OpenRequest, Transport, TransportEvents, TransportSocket } from "../types.js";
import { BUILD, EVERYBODY, type Kind, type ToHost, type ToTab } from "./wire.js";

/** A host that says nothing for so long is none, or has crashed: the next kind is tried. */
const SILENCE_MS = 4_000;

export class SharedTransport implements Transport {
  /** The kinds of hosts that are left to try. */
  #kinds: Kind[];
  /** Opens a socket at once, in the place of one that has ended. */
  #again: () => void;

  constructor(kinds: Kind[], again: () => void) {
    this.#kinds = kinds;
    this.#again = again;
  }

  get name(): string {
    return this.#kinds[0]!.name;
  }

  open(request: OpenRequest, events: TransportEvents): TransportSocket {
    // The name of this socket, and of the lock that the tab holds meanwhile: when it is free, the tab has gone.
    const tab = `realtime-${BUILD}-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    const say = (message: Partial<ToHost>): void => line.post({ ...message, to: "host", tab });
    let isOpen = true;
    let isHeard = false;
    let release = (): void => {};

    const reopen = (): void => {
      if (!isOpen) return;
      events.close(0, "");
      this.#again();
    };
    /** This kind of host does not work here, perhaps because of the page's Content-Security-Policy. */
    const fail = (): void => {
      if (!isOpen || this.#kinds.length < 2) return;
      this.#kinds.shift();
      reopen();
    };
    const silence = setTimeout(fail, SILENCE_MS);
    const hear = ({ to, text, code, reason = "" }: ToTab): void => {
      if (!isOpen || (to !== tab && to !== EVERYBODY)) return;
      clearTimeout(silence);
      if (to === EVERYBODY) return isHeard ? reopen() : say({ request });
      isHeard = true;
      if (text) events.message(text);
      else if (code !== undefined) events.close(code, reason);
    };
    const line = this.#kinds[0]!.open(hear, fail);
    void navigator.locks.request(tab, () => {
      if (!isOpen) return;
      say({ request });
      return new Promise<void>((resolve) => (release = resolve));
    });
    return {
      send: (text) => say({ text }),
      close() {
        isOpen = false;
        clearTimeout(silence);
        say({});
        line.close();
        release();
      },
    };
  }
}
