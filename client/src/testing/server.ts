/** A server in the test's own process, which the test controls. It has no time of its own: fake timers work. */

import type { ChatData, Disconnect, ErrorCode, HistoryItem, Item, UserId } from "../frames.js";
import type { OpenRequest, Options, Transport, TransportEvents, TransportSocket } from "../types.js";
import { ack, answer, failure } from "./commands.js";
import { type FakeCredential, readCredential } from "./credentials.js";
import { FakeInbox } from "./inbox.js";
import { FakeLog, type StoredEvent } from "./log.js";
import { type FakeRequest, respond, type Route } from "./rest.js";
import { type Command, FakeSocket } from "./socket.js";
import { now } from "./time.js";

export interface FakeRoom {
  title: string;
  /** How far the user has read; by default everything. */
  lastRead?: number;
}

export interface FakeServerOptions {
  /** Whose socket it is, whichever credential it has; null: every credential is refused. 1 by default. */
  user?: UserId | null;
  username?: string;
  /** By id, with the texts of their messages, which are from another user. */
  rooms?: Record<string, { title?: string; messages?: string[] }>;
  onlineCount?: number;
}

/** Codes after which a client may simply come back. */
const RECONNECT_CODES = [1011, 1012, 1013, 4408, 4409, 4410, 4413, 4429];

export class FakeServer {
  readonly log = new FakeLog();
  readonly inbox: FakeInbox;
  readonly rooms = new Map<string, FakeRoom>();
  readonly statuses = new Map<string, string>();
  readonly topics = new Map<string, object>();
  /** The credential of every attempt to open a socket. */
  readonly attempts: FakeCredential[] = [];
  /** Every command that has arrived. */
  readonly received: Command[] = [];
  /** Every request to the REST API that has arrived. */
  readonly requests: FakeRequest[] = [];
  /** Answers of the REST API that come before the server's own. */
  readonly routes: Route[] = [];
  readonly sockets = new Set<FakeSocket>();
  /** While it is true, sockets cannot be opened, and requests fail. */
  isAway = false;
  user: UserId | null;
  username: string;
  onlineCount: number;
  expiresAt: string | null = null;
  heartbeatSeconds = 30;

  private readonly failures: { type: string; frame: object }[] = [];
  private held: (() => void)[] | null = null;
  private readonly stored = new Map<string, object>();
  private count = 0;

  readonly transport: Transport = { name: "fake", open: (request, events) => this.open(request, events) };

  constructor({ user = 1, username = "alice", rooms = {}, onlineCount = 1 }: FakeServerOptions = {}) {
    this.user = user;
    this.username = username;
    this.onlineCount = onlineCount;
    this.inbox = new FakeInbox((act, ids, counts) => {
      const data = { ...counts, act, notification_ids: ids };
      this.publish(`user.${this.user}`, { type: "inbox", data, timestamp: now() });
    });
    for (const [id, { title = id, messages = [] }] of Object.entries(rooms)) {
      this.rooms.set(id, { title });
      for (const text of messages) this.chat(id, text);
    }
  }

  /** What `createRealtime` needs to talk to this server. */
  get options(): Options {
    return { url: "ws://fake.test/api/v1/ws", api: "http://fake.test/api/v1", transport: this.transport };
  }

  /** Answers requests to the REST API: put it in the place of the global `fetch`. */
  readonly fetch: typeof fetch = (input, init) => respond(this, input, init);

  /** Whose credential it is; null refuses the socket. A test may replace it. */
  findUser: (credential: FakeCredential) => UserId | null = () => this.user;

  // What the test lets happen

  /** Store a frame, and send it to those who listen to its stream: `site`, `user.1`, `room.general`, `topic.prices`. */
  publish(stream: string, frame: { type: string; [key: string]: unknown }): StoredEvent {
    const event = this.log.add(stream, frame);
    for (const socket of this.sockets) if (socket.streams.has(stream)) socket.deliver(event);
    return event;
  }

  /** Send a frame that is not stored to all sockets but one. */
  broadcast(frame: object, except?: FakeSocket): void {
    for (const socket of this.sockets) if (socket !== except) socket.deliver(frame);
  }

  /** Another user writes to a room. */
  chat(room: string, message: string, fields: Partial<ChatData> = {}): StoredEvent {
    return this.publish(`room.${room}`, this.describe({ room_id: room, message, ...fields }));
  }

  /** A notification arrives. */
  notify(fields: Partial<Item> = {}): Item {
    const item = this.inbox.add(fields);
    const frame = { type: "notification", notification_type: item.type, data: item, timestamp: item.arrived_at };
    this.publish(`user.${this.user}`, frame);
    return item;
  }

  /** The value of a topic, which those who subscribe later get as well. */
  setTopic(topic: string, data: unknown): void {
    const frame = { type: "topic", topic, data, timestamp: now() };
    this.topics.set(topic, frame);
    for (const socket of this.sockets) if (socket.streams.has(`topic.${topic}`)) socket.deliver(frame);
  }

  /** Nothing is sent if it is so already. */
  setStatus(user: UserId, status: "online" | "offline"): void {
    const isOnline = (this.statuses.get(String(user)) ?? "offline") !== "offline";
    this.statuses.set(String(user), status);
    if (isOnline === (status === "online")) return;
    this.onlineCount += isOnline ? -1 : 1;
    this.broadcast({ type: "user_status", data: { user_id: user, status, timestamp: now() } });
  }

  heartbeat(): void {
    this.broadcast({ type: "heartbeat", timestamp: now() });
  }

  /** The next command of this type is refused. */
  failNext(type: string, code: ErrorCode, more: object = {}): void {
    this.failures.push({ type, frame: failure(code, more) });
  }

  /** Commands arrive, but are not executed until `release`. */
  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const held = this.held ?? [];
    this.held = null;
    held.forEach((run) => run());
  }

  /** All connections break, without a word. */
  drop(code = 1006): void {
    for (const socket of this.sockets) socket.end(code);
  }

  /** The server closes all sockets, and says why. */
  goodbye(code: number, more: { reason?: string; reconnect?: boolean; retryAfterMs?: number } = {}): void {
    for (const socket of this.sockets) this.dismiss(socket, code, more);
  }

  // Asked by `commands` and `rest`

  takeFailure(type: string): object | undefined {
    const index = this.failures.findIndex((failure) => failure.type === type);
    return index < 0 ? undefined : this.failures.splice(index, 1)[0]!.frame;
  }

  /** The user has read a room up to there, or further. The others of their sockets hear of it. */
  markRead(id: string, seq: number, from: FakeSocket): void {
    const room = this.rooms.get(id);
    if (!room || seq <= (room.lastRead ?? 0)) return;
    room.lastRead = seq;
    const unread = this.log.position(`room.${id}`) - seq;
    this.broadcast({ type: "read", data: { room_id: id, seq, unread } }, from);
  }

  historyOf(stream: string, since: number): string | undefined {
    const [kind, name] = stream.split(".");
    if (kind === "room") return `/api/v1/rooms/${name}/messages?after=${since}`;
    return kind === "user" ? `/api/v1/messages?after=${since}` : undefined;
  }

  /** The messages of a room, or the direct messages, oldest first. */
  history(room?: string): HistoryItem[] {
    const events = this.log.events(room === undefined ? `user.${this.user}` : `room.${room}`);
    return events.filter(({ type }) => type === "chat").map(({ data, seq }) => ({ ...(data as ChatData), seq }));
  }

  /** Store a message of the user, once for each `id`. Returns the answer. */
  store(user: UserId | null, { id, message, room_id, to_user_id, kind = "text" }: Command): object {
    if (room_id !== undefined && !this.rooms.has(room_id)) return failure("NOT_FOUND");
    if (!message) return failure("INVALID_MESSAGE");
    const known = id === undefined ? undefined : this.stored.get(id);
    if (known) return known;
    const place = room_id === undefined ? { to_user_id } : { room_id };
    const sender = { from_user_id: user, from_username: this.username };
    const frame = this.describe({ ...sender, message, kind, ...place, ...(id === undefined ? {} : { client_id: id }) });
    const { seq } = this.publish(room_id === undefined ? `user.${this.user}` : `room.${room_id}`, frame);
    const reply = ack({ message_id: frame.data.message_id, seq });
    if (id !== undefined) this.stored.set(id, reply);
    return reply;
  }

  private describe(fields: Partial<ChatData> & { message: string }): { type: "chat"; data: ChatData; timestamp: string } {
    const timestamp = now();
    const other = { from_user_id: 2, from_username: "bob", message_id: ++this.count, kind: "text" as const };
    return { type: "chat", data: { ...other, timestamp, ...fields }, timestamp };
  }

  // A socket's beginning and end

  private open({ url, protocols }: OpenRequest, events: TransportEvents): TransportSocket {
    const credential = readCredential(url, protocols);
    this.attempts.push(credential);
    const socket = new FakeSocket(
      events,
      (from, command) => this.receive(from, command),
      (ended) => this.sockets.delete(ended),
    );
    if (this.isAway) socket.end(1006);
    else this.greet(socket, this.findUser(credential));
    return socket;
  }

  private greet(socket: FakeSocket, user: UserId | null): void {
    if (user === null) return this.dismiss(socket, 4401, { reason: "UNAUTHENTICATED" });
    socket.user = user;
    if (!this.statuses.has(String(user))) this.statuses.set(String(user), "online");
    const streams = Object.fromEntries(["site", `user.${user}`].map((name) => [name, this.log.position(name)]));
    for (const name of Object.keys(streams)) socket.streams.add(name);
    this.sockets.add(socket);
    const data = {
      message: `Welcome, ${this.username}!`,
      user_id: user,
      online_count: this.onlineCount,
      protocol: 1,
      connection_id: `connection-${++this.count}`,
      session_id: `session-${this.count}`,
      expires_at: this.expiresAt,
      heartbeat_seconds: this.heartbeatSeconds,
      max_frame_bytes: 65_536,
      typing_seconds: 10,
      streams,
    };
    socket.deliver({ type: "connected", data });
  }

  private receive(socket: FakeSocket, command: Command): void {
    this.received.push(command);
    const run = (): void => answer(this, socket, command);
    if (this.held && command.type !== "pong") this.held.push(run);
    else run();
  }

  dismiss(
    socket: FakeSocket,
    code: number,
    { reason = "", reconnect = RECONNECT_CODES.includes(code), retryAfterMs = 0 }: Parameters<FakeServer["goodbye"]>[1] = {},
  ): void {
    const frame: Disconnect = { type: "disconnect", code, reason, reconnect, retry_after_ms: retryAfterMs };
    socket.deliver(frame);
    socket.end(code, reason);
  }
}
