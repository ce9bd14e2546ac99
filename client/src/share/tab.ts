/** The transport of a tab that shares a socket: what it opens is a line to the host, which has the socket. */

import type { OpenRequest, Transport, TransportEvents, TransportSocket } from "../types.js";
import { BUILD, EVERYBODY, type Kind, type ToHost, type ToTab } from "./wire.js";

/** A host that says nothing for so long is none, or has crashed: the next kind is tried. */
const SILENCE_MS = 4_000;

export class SharedTransport implements Transport {
  /** The kinds of hosts that are left to try. */
  #kinds: Kind[];
  /** What is left when no kind works: a socket of the tab's own. */
  #own: Transport;
  /** Opens a socket at once, in the place of one that has ended. */
  #again: () => void;

  constructor(kinds: Kind[], own: Transport, again: () => void) {
    this.#kinds = kinds;
    this.#own = own;
    this.#again = again;
  }

  get name(): string {
    return (this.#kinds[0] ?? this.#own).name;
  }

  open(request: OpenRequest, events: TransportEvents): TransportSocket {
    const [kind] = this.#kinds;
    if (!kind) return this.#own.open(request, events);
    // The name of this socket, and of the lock that the tab holds meanwhile: when it is free, the tab has gone.
    const tab = `realtime-${BUILD}-${crypto.randomUUID()}`;
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
      if (isOpen) this.#kinds.shift();
      reopen();
    };
    // The last kind may take its time: another tab leads, or is about to.
    const silence = setTimeout(() => this.#kinds.length > 1 && fail(), SILENCE_MS);
    const hear = ({ to, text, code, reason = "" }: ToTab): void => {
      if (!isOpen || (to !== tab && to !== EVERYBODY)) return;
      clearTimeout(silence);
      if (to === EVERYBODY) return isHeard ? reopen() : say({ request });
      isHeard = true;
      if (text) events.message(text);
      else if (code !== undefined) events.close(code, reason);
    };
    const line = kind.open(hear, fail);
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
