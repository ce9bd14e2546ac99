/** The link of a tab that shares a socket: it speaks with the host, and compares what both have had. */

import { Unauthorized } from "../errors.js";
import type { ConnectedData, UserId } from "../frames.js";
import { IDLE, type Link, type LinkEvents, type Sent } from "../link.js";
import type { Settings } from "../settings.js";
import { makeGap, Streams } from "../streams.js";
import type { Answer, Credential, State } from "../types.js";
import { BUILD, EVERYBODY, type Line, type OpenLine, type ToHost, type ToTab } from "./wire.js";

/** A host that says nothing for so long is none, or has crashed: the next kind is tried. */
const SILENCE_MS = 10_000;

type Said = ToHost extends infer M ? (M extends ToHost ? Omit<M, "to" | "tab"> : never) : never;

export class RemoteLink implements Link {
  #settings: Settings;
  #events: LinkEvents;
  /** The kinds of hosts that are left to try. */
  #kinds: OpenLine[];
  #line: Line | undefined;
  /** The name of this tab, and of the lock that it holds while it is there. Another one after each absence. */
  #tab = "";
  #release = (): void => {};
  #silence: ReturnType<typeof setTimeout> | undefined;
  #state: State = IDLE;
  #suspended = false;
  #user: UserId | undefined;
  /** What this tab has had; the host may be ahead, or behind. */
  #streams = new Streams();

  constructor(settings: Settings, events: LinkEvents, kinds: OpenLine[]) {
    this.#settings = settings;
    this.#events = events;
    this.#kinds = kinds;
  }

  connect(): void {
    if (this.#line) this.#greet();
    else this.#attach();
  }

  close(): void {
    this.#detach();
    this.#suspended = false;
    this.#user = undefined;
    this.#streams.clear();
  }

  signOut(): void {
    this.#say({ type: "signOut" });
  }

  wake(): void {
    this.#say({ type: "wake" });
    this.#expect();
  }

  suspend(): void {
    this.#suspended ||= Boolean(this.#line);
    this.#detach();
  }

  restore(): void {
    if (this.#suspended) this.#attach();
    else this.wake();
  }

  transmit(command: Sent): boolean {
    const isOnline = Boolean(this.#line) && this.#state.status === "online";
    if (isOnline) this.#say({ type: "send", command });
    return isOnline;
  }

  // The host

  #attach(): void {
    this.#suspended = false;
    const tab = `realtime-${BUILD}-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    this.#tab = tab;
    this.#line = this.#kinds[0]!((message) => this.#hear(message), () => this.#fail());
    this.#expect();
    void navigator.locks.request(tab, () => {
      if (tab !== this.#tab) return;
      this.#greet();
      return new Promise<void>((resolve) => (this.#release = resolve));
    });
  }

  #expect(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#fail(), SILENCE_MS);
  }

  #detach(): void {
    this.#say({ type: "bye" });
    clearTimeout(this.#silence);
    this.#line?.close();
    this.#line = undefined;
    this.#release();
    this.#tab = "";
  }

  /** This kind of host does not work here, perhaps because of the page's Content-Security-Policy. */
  #fail(): void {
    if (this.#kinds.length < 2 || !this.#line) return;
    this.#kinds.shift();
    this.#detach();
    this.#attach();
  }

  #greet(): void {
    const { url, user, limits, credentials } = this.#settings;
    const setup = { url, user, limits, credential: Boolean(credentials.source) };
    this.#say({ type: "connect", setup, positions: this.#streams.positions, user: this.#user, state: this.#state });
  }

  #say(message: Said): void {
    this.#line?.post({ ...message, to: "host", tab: this.#tab } as ToHost);
  }

  #hear(message: ToTab): void {
    if (message.to !== EVERYBODY && message.to !== this.#tab) return;
    clearTimeout(this.#silence);
    if (message.type === "state") this.#follow(message.state);
    else if (message.type === "ready") this.#begin(message.data);
    else if (message.type === "frame") this.#receive(message.frame);
    else if (message.type === "ask") void this.#answer(message.ask);
    else this.#greet();
  }

  #follow(state: State): void {
    this.#state = { ...state, transport: this.#line!.name };
    // Whoever is signed out comes back when its own page says so, and not with the next user of another tab.
    if (state.status === "signedOut") this.close();
    this.#events.state(this.#state);
  }

  #begin(data: ConnectedData): void {
    if (data.user_id !== this.#user) this.#streams.clear();
    const isFresh = !Object.keys(this.#streams.positions).length;
    this.#user = data.user_id;
    const gaps = Object.entries(data.streams).filter(([name, seq]) => seq > (this.#streams.positions[name] ?? seq));
    const own = Object.entries(data.streams).filter(([name]) => !/^(room|topic)\./.test(name));
    Object.assign(this.#streams.positions, Object.fromEntries([...own, ...gaps]));
    this.#events.ready({ ...data, streams: { ...this.#streams.positions } }, isFresh);
    for (const [name, seq] of gaps) this.#events.frame(makeGap(name, seq));
  }

  #receive(frame: Answer): void {
    const { type, stream, seq } = frame;
    if (!stream || !seq) this.#streams.note(frame);
    // A room that only another tab has joined is nothing to this one.
    else if (!(stream in this.#streams.positions)) return;
    else if (type === "gap") this.#streams.positions[stream] = seq;
    else if (this.#place(stream, seq) === "old") return;
    this.#events.frame(frame);
  }

  #place(stream: string, seq: number): string {
    const place = this.#streams.accept(stream, seq);
    if (place === "hole") this.#events.frame(makeGap(stream, seq));
    return place;
  }

  /** The host needs a credential, and this tab was asked. */
  async #answer(ask: number): Promise<void> {
    let answer: { credential?: Credential | null; error?: "unauthorized" | "failed" };
    try {
      answer = { credential: await this.#settings.credentials.ask() };
    } catch (error) {
      answer = { error: error instanceof Unauthorized ? "unauthorized" : "failed" };
    }
    this.#say({ type: "credential", ask, ...answer });
  }
}
