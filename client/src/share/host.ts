/** The side of the common socket: one connection for all tabs. It runs in the worker, or in the tab that leads. */

import { Connection } from "../connection.js";
import { Unauthorized } from "../errors.js";
import type { LinkEvents, Sent } from "../link.js";
import { Credentials } from "../credentials.js";
import { countOnline } from "../presence.js";
import type { Settings } from "../settings.js";
import { webSocket } from "../transport.js";
import type { Answer, Credential, Transport } from "../types.js";
import { EVERYBODY, type Setup, type ToHost, type ToTab } from "./wire.js";

type Post = (message: ToTab) => void;
type Settle = (answer: Promise<Credential | null>) => void;

interface Tab {
  post: Post;
  /** The streams that it wants. */
  joined: Set<string>;
}

const ENDS: Record<string, string> = { leave: "left", unsubscribe: "unsubscribed" };

export class Host {
  #transport: Transport;
  #connection: Connection | undefined;
  #tabs = new Map<string, Tab>();
  /** Which tab has sent the command with an id. */
  #senders = new Map<string, string>();
  /** The credential that the connection waits for, and which tab was asked for it. */
  #asked: { ask: number; tab: string; settle: Settle } | undefined;
  #count = 0;
  #stop = new AbortController();

  constructor(transport: Transport = webSocket) {
    this.#transport = transport;
  }

  /** `post` reaches the tab that has said this. */
  hear(message: ToHost, post: Post): void {
    const { tab } = message;
    if (message.type === "connect") return this.#connect(message, post);
    // A tab that was taken for dead speaks again.
    if (!this.#tabs.has(tab)) return post({ to: tab, type: "who" });
    if (message.type === "send") this.#send(tab, message.command);
    else if (message.type === "credential") this.#answer(message);
    else if (message.type === "signOut") this.#connection!.signOut();
    else if (message.type === "bye") this.drop(tab);
    else this.#wake(tab);
  }

  /** The tab is gone: end what it alone has wanted. */
  drop(name: string): void {
    const tab = this.#tabs.get(name);
    if (!tab) return;
    this.#tabs.delete(name);
    for (const stream of tab.joined) this.#end(stream);
    for (const [id, sender] of this.#senders) if (sender === name) this.#senders.delete(id);
    if (this.#asked?.tab === name) this.#ask(this.#asked.settle);
    if (!this.#tabs.size) this.close();
  }

  close(): void {
    this.#tabs.clear();
    // A page that waits for a lock is not kept for the way back.
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #connect({ tab, setup, positions, user, state }: ToHost & { type: "connect" }, post: Post): void {
    this.#connection ??= new Connection(this.#settle(setup), this.#events, state);
    if (!this.#tabs.has(tab)) this.#watch(tab);
    this.#tabs.set(tab, { post, joined: new Set(Object.keys(positions)) });
    this.#connection.adopt(user, positions);
    this.#connection.connect();
    post({ to: tab, type: "state", state: this.#connection.state });
    if (this.#connection.greeting) post(this.#greet(tab));
  }

  /** The tab holds a lock of its name, so it is gone when this one is granted. */
  #watch(tab: string): void {
    const { signal } = this.#stop;
    navigator.locks.request(tab, { signal }, () => this.drop(tab)).catch(() => {});
  }

  #settle({ url, user, limits, credential }: Setup): Settings {
    const source = (): Promise<Credential | null> => new Promise((settle) => this.#ask(settle));
    const credentials = new Credentials(credential ? source : undefined);
    return { url, api: "", user, limits, credentials, transport: this.#transport };
  }

  #wake(name: string): void {
    // The last one is asked first for a credential: the tab that somebody looks at.
    const tab = this.#tabs.get(name)!;
    this.#tabs.delete(name);
    this.#tabs.set(name, tab);
    this.#connection!.wake();
    // Whoever hears nothing takes the host for dead.
    tab.post({ to: name, type: "state", state: this.#connection!.state });
  }

  // Frames

  #events: LinkEvents = {
    state: (state) => this.#tell({ to: EVERYBODY, type: "state", state }),
    ready: () => this.#tell(this.#greet(EVERYBODY)),
    frame: (frame) => this.#hand(frame),
  };

  #greet(to: string): ToTab {
    const { greeting, streams } = this.#connection!;
    return { to, type: "ready", data: { ...greeting!, streams: { ...streams.positions } } };
  }

  #hand(frame: Answer): void {
    const greeting = this.#connection?.greeting;
    if (greeting) greeting.online_count = countOnline(greeting.online_count, frame);
    if (frame.id === undefined) return this.#tell({ to: EVERYBODY, type: "frame", frame });
    const tab = this.#senders.get(frame.id) ?? "";
    this.#senders.delete(frame.id);
    this.#tabs.get(tab)?.post({ to: tab, type: "frame", frame });
  }

  #tell(message: ToTab): void {
    for (const [to, { post }] of this.#tabs) post({ ...message, to });
  }

  // Commands

  #send(name: string, command: Sent): void {
    const { id, type } = command;
    const tab = this.#tabs.get(name)!;
    const joined = nameOf(command);
    if (type === "join" || type === "subscribe") tab.joined.add(joined);
    if (type in ENDS) {
      tab.joined.delete(joined);
      // Others still want it: the tab is answered here.
      const frame = { ...command, type: ENDS[type]! };
      if (this.#isWanted(joined)) return tab.post({ to: name, type: "frame", frame });
    }
    if (id) this.#senders.set(id, name);
    this.#connection!.transmit(command);
    if (type === "read") this.#echo(name, command);
  }

  /** The server reports what was read to other sockets only, and the other tabs have this one. */
  #echo(sender: string, { room_id, seq }: Sent): void {
    const frame = { type: "read", data: { room_id, seq } };
    for (const [to, { post }] of this.#tabs) if (to !== sender) post({ to, type: "frame", frame });
  }

  #isWanted(joined: string): boolean {
    return [...this.#tabs.values()].some((tab) => tab.joined.has(joined));
  }

  #end(stream: string): void {
    const [, kind, name] = /^(room|topic)\.(.+)$/.exec(stream) ?? [];
    if (!kind || this.#isWanted(stream)) return;
    const isRoom = kind === "room";
    this.#connection!.transmit(isRoom ? { type: "leave", room_id: name } : { type: "unsubscribe", topic: name });
    this.#connection!.streams.forget(stream);
  }

  // Credentials

  #ask(settle: Settle): void {
    const ask = ++this.#count;
    const [tab, asked] = [...this.#tabs].at(-1) ?? [""];
    this.#asked = { ask, tab, settle };
    asked?.post({ to: tab, type: "ask", ask });
  }

  #answer({ ask, credential = null, error }: ToHost & { type: "credential" }): void {
    if (this.#asked?.ask !== ask) return;
    const failure = error === "unauthorized" ? new Unauthorized() : error && new Error("A tab has no credential.");
    this.#asked.settle(failure ? Promise.reject(failure) : Promise.resolve(credential));
    this.#asked = undefined;
  }
}

/** The stream of what a command joins or leaves. */
function nameOf({ room_id, topic }: Sent): string {
  return topic ? `topic.${topic}` : `room.${room_id}`;
}
