/** The public types of the library. What they describe is implemented by the modules that `index` exports. */

import type {
  AnyFrame,
  Counts,
  ErrorCode,
  Item,
  Kind,
  NotificationData,
  NotificationEvent,
  Role,
  SiteFrames,
  Time,
  TopicData,
  UserId,
} from "./frames.js";

// The connection

export type Status = "idle" | "connecting" | "online" | "waiting" | "offline" | "signedOut" | "closed";

/**
 * What a page shows about the connection.
 *
 * `idle`: `connect` was not called. `connecting`: the first attempt, or one after the page has shown that it is away.
 * `online`: frames flow, or the connection was lost less than `graceMs` ago. `waiting`: the next attempt is at
 * `retryAt`. `offline`: the same, and the browser says that there is no network. `signedOut`: the login has ended, or
 * the server refuses this client; `connect` tries again. `closed`: `close` was called.
 */
export interface State {
  readonly status: Status;
  /** Why: the `reason` of the server's `disconnect`, or `NETWORK`, `TIMEOUT`, `CREDENTIAL`, `UNAUTHORIZED`, … */
  readonly reason: string;
  /** The close code of the last socket; 0 if there is none. */
  readonly code: number;
  /** When the next attempt is due, as `Date.now()` counts; null if none is planned. */
  readonly retryAt: number | null;
  /** The name of the transport that is used; with a shared socket `worker` or `leader`. Empty before the first. */
  readonly transport: string;
}

/** A string is an access token. A ticket opens one socket; requests then use `token`, or else the session cookie. */
export type Credential = { ticket: string; token?: string };

/** Called before every attempt to open a socket. null: the session cookie. Throw `Unauthorized` to sign out. */
export type CredentialSource = () => Promise<string | Credential | null> | string | Credential | null;

export interface Options {
  /** The address of the socket. By default that of the page's own host: `/api/v1/ws`. */
  url?: string;
  /** The address of the REST API. By default the socket's, without `/ws`. */
  api?: string;
  /** Without it, the cookie of Django's session counts. */
  credential?: CredentialSource;
  /** The id of the user for whom the page was made, if it knows that: a socket of another user is then refused. */
  user?: UserId | undefined;
  /** Django's CSRF token for requests with the session cookie. By default from the cookie `csrftoken`. */
  csrfToken?: () => string;
  /** One socket for all tabs of the browser. False by default; needs `worker` for a SharedWorker. */
  share?: boolean;
  /** The address of the built worker file, of the page's own origin. Without it, one tab leads the others. */
  worker?: string | URL;
  /** How sockets are opened. By default a WebSocket. */
  transport?: Transport;
  limits?: Partial<Limits>;
}

/** Durations are in milliseconds. */
export interface Limits {
  /** How long `credential` may take. */
  credentialMs: number;
  /** How long a socket may take from its opening to `connected`. */
  connectMs: number;
  /** How long a lost connection is not shown. */
  graceMs: number;
  /** How long the server may take to answer after the machine was asleep or the page hidden. */
  probeMs: number;
  /** The first and the longest pause between attempts. */
  firstPauseMs: number;
  longestPauseMs: number;
  /** Commands without an answer; more are refused with `QUEUE_FULL`. */
  queuedCommands: number;
  /** Messages of a room that are kept; more are loaded again when they are asked for. */
  messagesPerRoom: number;
}

export interface OpenRequest {
  url: string;
  protocols: string[];
}

export interface TransportEvents {
  message(text: string): void;
  /** The socket has ended, or could not be opened. Called once. */
  close(code: number, reason: string): void;
}

export interface TransportSocket {
  send(text: string): void;
  /** Nothing is called any more after it. */
  close(): void;
}

export interface Transport {
  readonly name: string;
  open(request: OpenRequest, events: TransportEvents): TransportSocket;
}

// Frames and commands

// A site declares its own by augmentation: `interface SiteFrames { order: { type: "order"; number: string } }`.
export type { NotificationData, SiteFrames, TopicData };

type ByType<F extends { type: string }> = { [T in F["type"]]: Extract<F, { type: T }> };

export type FrameTypes = ByType<AnyFrame> & ByType<NotificationEvent> & SiteFrames;
export type Frame = FrameTypes[keyof FrameTypes] | { type: string; stream?: string; seq?: number; id?: string };

/** Something was missed and cannot be replayed: load it again. `fetch` is the address of the chat history, if any. */
export interface Gap {
  type: "gap";
  stream: string;
  seq: number;
  fetch: string | null;
}

/** Other things than frames that one can listen to. */
export interface LocalEvents {
  gap: Gap;
  /** The user of the socket has changed; undefined after a sign-out. */
  user: { type: "user"; user?: UserId };
}

export type EventTypes = FrameTypes & LocalEvents;
export type Off = () => void;

/** A command of `docs/protocol.md`, without its `id`. */
export interface Command {
  type: string;
  [key: string]: unknown;
}

/** What answers a command: `ack`, or the frame of its own that it has (`joined`, `subscribed`, `pong`, …). */
export interface Answer {
  type: string;
  id?: string;
  stream?: any;
  seq?: any;
  data?: any;
  [key: string]: any;
}

export type FailureCode =
  | ErrorCode
  | "UNAUTHENTICATED"
  | "TOKEN_EXPIRED"
  | "QUEUE_FULL"
  | "CLOSED"
  | "SIGNED_OUT"
  | "USER_CHANGED"
  | "NETWORK"
  | (string & {});

// State that a view follows

/** `getSnapshot` returns the same object until something has changed; `subscribe` is for `useSyncExternalStore`. */
export interface Observable<T> {
  subscribe(listener: () => void): Off;
  getSnapshot(): T;
}

export interface Message {
  /** The same from the moment of sending on: for keys of lists. */
  readonly key: string;
  readonly id: number | null;
  readonly seq: number | null;
  /** The id of the command, of a message that this client has sent. */
  readonly clientId: string | null;
  readonly userId: UserId | null;
  /** Empty for one that this client has sent, until it is stored. */
  readonly username: string;
  readonly text: string;
  readonly kind: Kind;
  readonly sentAt: Time;
  readonly mine: boolean;
  readonly status: "sending" | "stored" | "failed";
  readonly error: Error | null;
}

export interface RoomSnapshot {
  /** `gone`: the room does not exist, or the user was removed from it. */
  readonly status: "idle" | "joining" | "joined" | "gone";
  readonly title: string;
  readonly role: Role | null;
  /** Oldest first. Those that are not stored yet come last. */
  readonly messages: readonly Message[];
  readonly hasOlder: boolean;
  readonly loading: boolean;
  readonly typingUsers: readonly UserId[];
  /** Position up to which the user has read; null until it is known. */
  readonly lastReadSeq: number | null;
  /** Events after `lastReadSeq`; null until it is known. */
  readonly unread: number | null;
  readonly error: Error | null;
}

/** What the snapshot has can be read from the room as well. */
export interface Room extends Observable<RoomSnapshot>, RoomSnapshot {
  readonly id: string;
  /** Join the room, until `leave` was called as often. Returns a function that leaves once. */
  join(): Off;
  leave(): void;
  /** The message is in the list at once. Settles when it is stored or refused; a failure is in the list, too. */
  send(text: string, kind?: Kind): Promise<Answer>;
  /**
   * Send a message that has failed again, with the same id: it is stored once. Rejects with a TypeError if it has not
   * failed. So does null, which messages of others have: only what this client has sent can fail.
   */
  retry(clientId: string | null): Promise<Answer>;
  /** Remove a message that has failed from the list. Does nothing with any other, or with null. */
  discard(clientId: string | null): void;
  /** Call it at each key: it sends what is needed. */
  typing(isTyping?: boolean): void;
  /** The user has read up to this position; by default up to the newest message. */
  markRead(seq?: number): void;
  loadOlder(): Promise<void>;
  /** Load the newest messages again, and join before if that has failed. Never rejects: the error is in the snapshot. */
  reload(): Promise<void>;
  /** Frames of this room alone. */
  on<T extends keyof EventTypes>(type: T, listener: (frame: EventTypes[T]) => void): Off;
}

export interface Topic<T = unknown> extends Observable<T | undefined> {
  readonly name: string;
  /** The last value; undefined until the first. */
  readonly value: T | undefined;
  /** Why the server has refused it; null if it has not. */
  readonly error: Error | null;
  /** Subscribe to the topic, until the returned function was called. */
  join(): Off;
  on(listener: (value: T) => void): Off;
}

export type PresenceStatus = "online" | "away" | "busy" | "offline";

export interface PresenceSnapshot {
  /** Users who are online and visible to this user; null until it is known. */
  readonly onlineCount: number | null;
  /** By user id, as a string. Users who are not in it are unknown. */
  readonly users: Readonly<Record<string, PresenceStatus>>;
}

export interface Presence extends Observable<PresenceSnapshot>, PresenceSnapshot {
  status(user: UserId): PresenceStatus | undefined;
  /** Load the status of these users, and keep it up to date until the returned function is called. null is nobody. */
  watch(users: readonly (UserId | null)[]): Off;
  /** Of this user, on all devices. It is set again after a reconnect. */
  setStatus(status: PresenceStatus, data?: Record<string, unknown>): Promise<Answer>;
}

export interface InboxFilter {
  box?: "inbox" | "archived" | "snoozed" | "all";
  unread?: boolean;
  type?: string | string[];
  category?: string | string[];
  level?: string | string[];
  reason?: string;
  actor?: UserId;
  /** Those that have arrived at this time or later. */
  since?: Time;
}

export interface InboxSnapshot {
  /** Newest first. Acts show at once, and are taken back if the server refuses them. */
  readonly items: readonly Item[];
  readonly counts: Counts;
  readonly filter: InboxFilter;
  readonly hasMore: boolean;
  readonly loading: boolean;
  readonly error: Error | null;
}

export type Ids = number | readonly number[];

export interface Notifications extends Observable<InboxSnapshot>, InboxSnapshot {
  /** Load the list and keep it up to date, until the returned function was called. */
  open(): Off;
  /** Show another box or other filters: the list is loaded again. */
  show(filter: InboxFilter): Promise<void>;
  loadMore(): Promise<void>;
  /** Load the list and the counts again. */
  reload(): Promise<void>;
  seen(ids?: Ids): Promise<void>;
  read(ids: Ids): Promise<void>;
  unread(ids: Ids): Promise<void>;
  archive(ids: Ids): Promise<void>;
  unarchive(ids: Ids): Promise<void>;
  snooze(ids: Ids, until: Date): Promise<void>;
  unsnooze(ids: Ids): Promise<void>;
  remove(ids: Ids): Promise<void>;
  /** Take an action of a notification. */
  act(id: number, key: string): Promise<void>;
  /** All that the list shows, with what is not loaded. What has arrived since stays as it is. */
  readAll(): Promise<void>;
  archiveAll(): Promise<void>;
  /** Take the last act back, for ten minutes. False if there is nothing to take back. */
  undo(): Promise<boolean>;
  on(type: "notification", listener: (item: Item) => void): Off;
}

/** What the entry `./core` has. */
export interface Client extends Observable<State> {
  readonly state: State;
  /** The user of the socket; undefined before the first `connected` and after a sign-out. */
  readonly user: UserId | undefined;
  /** Open the socket, and keep it open. Safe to call again; it also ends `signedOut`. */
  connect(): void;
  /** End everything: commands without an answer are rejected with `CLOSED`. `connect` starts again. */
  close(): void;
  /** Forget the user: everything waiting is rejected with `SIGNED_OUT`, in all tabs. Ends no login on the server. */
  signOut(): void;
  /** Another user has logged in: forget the first one, and open a socket with a new credential. */
  setUser(user?: UserId): void;
  /** `*` gets every frame. */
  on<T extends keyof EventTypes>(type: T, listener: (frame: EventTypes[T]) => void): Off;
  on(type: "*", listener: (frame: Frame) => void): Off;
  onState(listener: (state: State) => void): Off;
  /** Send a command. It waits while there is no connection, and is sent again with the same id after a loss. */
  send(command: Command): Promise<Answer>;
  /** Call the REST API with the credential of this client. Rejects with a `RealtimeError`. */
  rest<T = any>(method: string, path: string, body?: unknown): Promise<T>;
}

export interface Realtime extends Client {
  room(id: string): Room;
  topic<N extends keyof TopicData>(name: N): Topic<TopicData[N]>;
  topic<T = unknown>(name: string): Topic<T>;
  readonly presence: Presence;
  readonly notifications: Notifications;
}
