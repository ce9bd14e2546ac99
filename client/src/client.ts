/** A client without rooms, presence and notifications: it owns the connection, and knows frames and commands. */

import { Connection } from "./connection.js";
import { RealtimeError } from "./errors.js";
import { attempt, report, Store } from "./events.js";
import type { ConnectedData, UserId } from "./frames.js";
import type { Part } from "./hub.js";
import { watchPage } from "./lifecycle.js";
import { IDLE, type Link } from "./link.js";
import { encode, Outbox } from "./outbox.js";
import { callRest, type Rest } from "./rest.js";
import { LIMITS, settle, type Settings } from "./settings.js";
import type { OpenShared } from "./share/index.js";
import type * as types from "./types.js";

/** States in which no command waits for a socket. */
const REFUSALS: { [status: string]: types.FailureCode } = { signedOut: "SIGNED_OUT", closed: "CLOSED" };

export class Client extends Store<types.State> implements types.Client {
  #options: types.Options;
  /** Made when it is needed, because it reads the page's address. */
  #settings: Settings | undefined;
  #link: Link | undefined;
  #unwatch: types.Off | undefined;
  declare user: UserId | undefined;
  /** @internal */
  declare greeting: ConnectedData | undefined;
  /** @internal */
  declare readonly outbox: Outbox;
  /** @internal */
  declare readonly limits: types.Limits;
  /** What is told about sockets and users: rooms and topics by their stream, and what each client has once. */
  #parts: Record<string, Part> = {};
  /** Ends the requests that have no answer yet. */
  #stop = new AbortController();

  constructor(options: types.Options = {}) {
    super(IDLE);
    this.#options = { ...options };
    this.limits = { ...LIMITS, ...options.limits };
    this.outbox = new Outbox((text) => this.#link?.transmit(text), this.limits.queuedCommands);
  }

  get state(): types.State {
    return this.getSnapshot();
  }

  // The connection

  connect(): void {
    this.#unwatch ??= watchPage(() => this.#link);
    if (this.#link || !this.#options.share) this.#start();
    else void this.#share();
  }

  close(): void {
    this.#link?.close();
    this.#unwatch = this.#unwatch?.() as undefined;
    this.#link = undefined;
    this.#end("closed", "CLOSED");
  }

  signOut(): void;
  /** @internal `reason` is given if the login of this tab alone has ended. */
  signOut(reason?: string): void;
  signOut(reason?: string): void {
    if (this.#link) this.#link.signOut(reason);
    // A request may have asked before there was a connection, or the code of one is still being loaded.
    else if (reason || this.#unwatch) this.#end("signedOut", reason ?? "SIGNED_OUT");
    else this.#forget("SIGNED_OUT");
  }

  setUser(user?: UserId): void {
    const wanted = this.#unwatch;
    this.close();
    this.#forget("USER_CHANGED");
    this.#settings = undefined;
    this.#options.user = user;
    if (wanted) this.connect();
  }

  /** The code for this is loaded only where it is used. Meanwhile the page may close the client, or sign out. */
  async #share(): Promise<void> {
    this.update({ status: "connecting" });
    const openShared = await import("./share/index.js").then(({ prepare }) => prepare()).catch(report);
    if (this.state.status === "connecting") this.#start(openShared);
  }

  #start(openShared?: OpenShared | void): void {
    const settings = this.#settle();
    this.#link ??= openShared?.(settings, this.#options, this) ?? new Connection(settings, this);
    this.#link.connect();
  }

  #settle(): Settings {
    return (this.#settings ??= settle(this.#options, this.limits, () => this.signOut("UNAUTHORIZED")));
  }

  #end(status: types.Status, reason: string): void {
    this.alter({ status, reason, code: 0, retryAt: null });
  }

  /** @internal */
  readonly sendNow = (command: types.Command): void => this.#link?.transmit(encode(command));

  // What the link tells

  /** @internal */
  alter(changes: Partial<types.State>): void {
    const { status } = changes;
    if (status !== "online") this.greeting = undefined;
    if (status === "signedOut") this.#forget("SIGNED_OUT");
    this.update(changes);
    if (status === "closed") this.#rejectAll("CLOSED");
  }

  /** @internal */
  ready(data: ConnectedData, isFresh: boolean): void {
    const isOther = this.user !== data.user_id;
    if (isOther && this.user !== undefined) this.#forget("USER_CHANGED");
    this.user = data.user_id;
    this.greeting = data;
    this.outbox.flush(data.max_frame_bytes);
    this.#tell((part) => part.ready(data, isFresh));
    // Last, because whoever hears of another user may close the client.
    if (isOther) this.emit("user", { type: "user", user: data.user_id });
  }

  /** @internal */
  takeFrame(frame: types.Answer): void {
    this.outbox.conclude(frame);
    // What answers a command is for those who have sent it.
    if (frame.id === undefined) this.#tell((part) => part.takeFrame(frame));
    this.emit(frame.type, frame);
    this.emit("*", frame);
  }

  #forget(code: types.FailureCode): void {
    const { user } = this;
    this.user = this.greeting = undefined;
    this.#settings?.credentials.clear();
    this.#rejectAll(code);
    this.#tell((part) => part.reset());
    if (user !== undefined) this.emit("user", { type: "user" });
  }

  #rejectAll(code: types.FailureCode): void {
    this.outbox.rejectAll(code);
    this.#stop.abort(new RealtimeError(code));
    this.#stop = new AbortController();
    this.#tell((part) => part.loader?.stop());
  }

  #tell(action: (part: Part) => void): void {
    for (const part of Object.values(this.#parts)) attempt(() => action(part));
  }

  // Frames and commands

  declare readonly on: types.Client["on"];

  onState(listener: (state: types.State) => void): types.Off {
    return this.subscribe(() => listener(this.state));
  }

  send(command: types.Command): Promise<types.Answer>;
  /** @internal */
  send(command: types.Command, id?: string): Promise<types.Answer>;
  send(command: types.Command, id?: string): Promise<types.Answer> {
    return this.outbox.send(command, id, REFUSALS[this.state.status]);
  }

  readonly rest: Rest = (...request) => callRest(this.#settle(), this.#stop.signal, ...request);

  /** @internal The part with this name, made when it is asked for first. */
  protected part<P extends Part>(name: string, make: () => P): P {
    return (this.#parts[name] ??= make()) as P;
  }
}
