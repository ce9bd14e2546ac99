/**
 * The other side of the common socket, in the worker, or in the tab that leads. To each tab it is what the server is,
 * and to the server it is one client. Each tab has a state machine of its own, so this has none.
 */

import { countOnline } from "../counting.js";
import { type Positions, RESUME, Streams } from "../streams.js";
import { webSocket } from "../transport.js";
import type { Answer, OpenRequest, Transport, TransportSocket } from "../types.js";
import type { ToHost, ToTab } from "./wire.js";

type Post = (message: ToTab) => void;

interface Tab {
  post: Post;
  /** The streams that it wants. */
  wants: Set<string>;
}

/** So many events are kept for tabs that come a moment later than the others. */
const MOST_RECENT = 200;
/** A tab that somebody looks at sends a `ping`, and begins again if nothing is heard for so long. */
const PROBE_MS = 5_000;
const ENDS: Record<string, string> = { leave: "left", unsubscribe: "unsubscribed" };
/** Streams that a socket has only if it asks for them. */
const ASKED = /^(room|topic)\.(.+)$/;

/** By name, the tabs that have a socket here. */
export class Host extends Map<string, Tab> {
  #transport: Transport;
  #socket: TransportSocket | undefined;
  #greeting: Answer | undefined;
  #streams = new Streams();
  /** The last events. */
  #recent: Answer[] = [];
  /** Which tab has sent the command with an id. */
  #senders = new Map<string, string>();
  #stop = new AbortController();
  /** Ends a socket that is dead. Tabs that nobody looks at notice it late, and would hold it for the others meanwhile. */
  #alarm: ReturnType<typeof setTimeout> | undefined;

  constructor(transport: Transport = webSocket) {
    super();
    this.#transport = transport;
  }

  /** `post` reaches the tab that has said this. */
  hear({ tab, request, text }: ToHost, post: Post): void {
    if (request) this.#open(tab, request, post);
    else if (!text) this.drop(tab);
    else if (this.has(tab)) this.#send(tab, JSON.parse(text));
    // It was taken for dead.
    else post({ to: tab, code: 0 });
  }

  /** The tab is gone: end what it alone has wants. */
  drop(name: string): void {
    const tab = this.get(name);
    if (!this.delete(name)) return;
    // A tab that has waited too long for the socket must not find the same one again, which another tab still holds.
    if (!this.size || !this.#greeting) return this.close(0);
    for (const stream of tab!.wants) this.#end(stream);
  }

  close(code?: number, reason?: string): void {
    for (const [to, { post }] of this) post({ to, code, reason } as ToTab);
    clearTimeout(this.#alarm);
    this.#socket?.close();
    this.#socket = this.#greeting = undefined;
    this.#streams = new Streams();
    this.clear();
    this.#senders.clear();
    this.#recent = [];
    // A page that waits for a lock is not kept for the way back.
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  /** The first tab opens the socket, with its credential. The others find it open. */
  #open(tab: string, request: OpenRequest, post: Post): void {
    const { signal } = this.#stop;
    // The tab holds this lock, so it is gone when the lock is granted here.
    if (!this.has(tab)) navigator.locks.request(tab, { signal }, () => this.drop(tab)).catch(() => {});
    this.set(tab, { post, wants: new Set() });
    post({ to: tab });
    if (this.#greeting) this.#greet(tab);
    this.#socket ??= this.#transport.open(request, {
      message: (text) => this.#receive(JSON.parse(text)),
      close: (code, reason) => this.close(code, reason),
    });
  }

  /** After so long without a frame, the socket counts as dead. */
  #expect(ms: number): void {
    clearTimeout(this.#alarm);
    this.#alarm = setTimeout(() => this.close(0), ms);
  }

  // Frames

  #receive(frame: Answer): void {
    const { type, id, stream, seq, data } = frame;
    if (type === "batch") return void frame["messages"].map((one: Answer) => this.#receive(one));
    if (type === "connected") this.#greeting = frame;
    const greeting = this.#greeting?.data;
    if (greeting) {
      this.#expect(2000 * greeting.heartbeat_seconds);
      greeting.online_count = countOnline(greeting.online_count, frame);
    }
    if (type === "connected") {
      this.#streams.begin(data.streams);
      for (const tab of this.keys()) this.#greet(tab);
      return;
    }
    // Refused as a whole: what is replayed is not known any more, so each tab's streams are resumed again.
    if (type === "error" && id === RESUME && !stream) this.#streams = new Streams();
    if (!this.#streams.admit(frame).length) return;
    if (stream && seq) this.#recent = [...this.#recent.slice(-MOST_RECENT), frame];
    if (id === undefined || id === RESUME) return this.#tell(frame);
    this.#post(this.#senders.get(id), frame);
    this.#senders.delete(id);
  }

  #tell(frame: Answer): void {
    const { type, stream, seq } = frame;
    const isForAll = !seq || !ASKED.test(stream);
    const names = [...this.keys()].filter((name) => isForAll || this.get(name)!.wants.has(stream));
    // One new token is enough.
    for (const name of type === "auth_expiring" ? names.slice(-1) : names) this.#post(name, frame);
    // Each tab opens another socket.
    if (type === "disconnect") this.close();
  }

  #post(to: string | undefined, frame: object): void {
    this.get(to!)?.post({ to: to!, text: JSON.stringify(frame) });
  }

  /**
   * What a tab wants, it has to say itself. Of the others, a position may be unknown after a refusal: then it is that of
   * the greeting. Without one, a tab would not notice what it misses.
   */
  #greet(tab: string): void {
    const { data } = this.#greeting!;
    const known = Object.entries(this.#streams.positions).filter(([name]) => !ASKED.test(name));
    this.#post(tab, { ...this.#greeting, data: { ...data, streams: { ...data.streams, ...Object.fromEntries(known) } } });
  }

  // Commands

  #send(name: string, command: Answer): void {
    const { id, type, ...data } = command;
    const { wants } = this.get(name)!;
    if (type === RESUME) return this.#resume(name, command["streams"]);
    const stream = command["topic"] ? `topic.${command["topic"]}` : `room.${command["room_id"]}`;
    if (type === "join" || type === "subscribe") wants.add(stream);
    if (type in ENDS) {
      wants.delete(stream);
      // Others still want it: the tab is answered here.
      if (this.#isWanted(stream)) return this.#post(name, { ...command, type: ENDS[type]! });
      // Whoever resumes it before the answer has come has to ask the server.
      this.#streams.forgetStream(stream);
    }
    if (type === "ping") this.#expect(PROBE_MS);
    if (id) this.#senders.set(id, name);
    this.#transmit(command);
    // The server reports this to other sockets only, and the other tabs have this one.
    if (type === "presence") data["user_id"] = this.#greeting?.data.user_id;
    else if (type !== "read") return;
    for (const tab of this.keys()) if (tab !== name) this.#post(tab, { type, data });
  }

  /** What another tab has asked for a moment ago is replayed from here. */
  #resume(name: string, streams: Positions): void {
    const { positions } = this.#streams;
    const { wants } = this.get(name)!;
    const missing: Positions = {};
    const known: Record<string, object> = {};
    for (const [stream, seq] of Object.entries(streams)) {
      wants.add(stream);
      const missed = this.#recent.filter((frame) => frame.stream === stream && frame.seq > seq);
      if (positions[stream] === seq + missed.length) {
        for (const frame of missed) this.#post(name, frame);
        known[stream] = { recovered: true, seq };
      } else {
        // The tab has had these up to there, so they are replayed; to another tab perhaps from before.
        missing[stream] = seq;
        positions[stream] = Math.min(seq, positions[stream] ?? seq);
        this.#streams.resuming.add(stream);
      }
    }
    if (Object.keys(missing).length) this.#transmit({ type: RESUME, streams: missing, id: RESUME });
    if (Object.keys(known).length) this.#post(name, { type: "resumed", streams: known });
  }

  #transmit(command: Answer): void {
    if (this.#greeting) this.#socket!.send(JSON.stringify(command));
  }

  #isWanted(stream: string): boolean {
    return [...this.values()].some(({ wants }) => wants.has(stream));
  }

  #end(stream: string): void {
    const [, kind, name] = ASKED.exec(stream) ?? [];
    if (!kind || this.#isWanted(stream)) return;
    this.#transmit(kind === "room" ? { type: "leave", room_id: name } : { type: "unsubscribe", topic: name });
    this.#streams.forgetStream(stream);
  }
}
