/** The client of a page: it owns the connection, and tells rooms, topics, presence and notifications what comes. */

import { Connection } from "./connection.js";
import { RealtimeError } from "./errors.js";
import { Emitter, report, Store } from "./events.js";
import type { ConnectedData, UserId } from "./frames.js";
import type { Hub, Part } from "./hub.js";
import { watchPage } from "./lifecycle.js";
import { IDLE, type Link, type LinkEvents } from "./link.js";
import { Notifications } from "./notifications.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { openRest, type Rest } from "./rest.js";
import { Room } from "./room.js";
import { settle, type Settings } from "./settings.js";
import { Topic } from "./topic.js";
import type * as types from "./types.js";

export class Realtime extends Store<types.State> implements types.Realtime {
  #options: types.Options;
  /** Made when it is needed, because it reads the page's address. */
  #settings: Settings | undefined;
  #rest: Rest | undefined;
  #link: Link | undefined;
  /** Counts the links, so that one that is still being loaded is not used after `close`. */
  #round = 0;
  #greeting: ConnectedData | undefined;
  #user: UserId | undefined;
  #emitter = new Emitter();
  #rooms = new Map<string, Room>();
  #topics = new Map<string, Topic<any>>();
  #outbox: Outbox;
  #hub: Hub;
  #unwatch: types.Off | undefined;
  readonly presence: types.Presence;
  readonly notifications: types.Notifications;
  #parts: Part[];

  constructor(options: types.Options = {}) {
    super(IDLE);
    this.#options = options;
    this.#outbox = new Outbox(
      (command) => this.#link?.transmit(command) ?? false,
      options.limits?.queuedCommands,
    );
    this.#hub = this.#makeHub();
    const [presence, notifications] = [new Presence(this.#hub), new Notifications(this.#hub)];
    this.presence = presence;
    this.notifications = notifications;
    this.#parts = [presence, notifications];
  }

  get state(): types.State {
    return this.getSnapshot();
  }

  get user(): UserId | undefined {
    return this.#user;
  }

  // The connection

  connect(): void {
    this.#unwatch ??= watchPage({
      wake: () => this.#link?.wake(),
      suspend: () => this.#link?.suspend(),
      restore: () => this.#link?.restore(),
    });
    if (this.#link) return this.#link.connect();
    if (this.#options.share) return void this.#share(this.#round);
    this.#use(new Connection(this.#settle(), this.#events()));
  }

  close(): void {
    this.#round++;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#link?.close();
    this.#link = this.#greeting = undefined;
    this.update({ ...this.state, status: "closed", reason: "CLOSED", retryAt: null });
    this.#outbox.rejectAll("CLOSED");
  }

  signOut(): void {
    this.#link?.signOut();
    this.#forget("SIGNED_OUT");
  }

  setUser(user?: UserId): void {
    const wanted = this.#unwatch !== undefined;
    this.close();
    this.#forget("USER_CHANGED");
    this.#settings = this.#rest = undefined;
    this.#options = { ...this.#options };
    if (user === undefined) delete this.#options.user;
    else this.#options.user = user;
    if (wanted) this.connect();
  }

  #use(link: Link): void {
    this.#link = link;
    link.connect();
  }

  async #share(round: number): Promise<void> {
    this.update({ status: "connecting" });
    let link: Link | undefined;
    try {
      const { openShared } = await import("./share/index.js");
      if (round === this.#round && !this.#link) link = openShared(this.#settle(), this.#options, this.#events());
    } catch (error) {
      report(error);
      if (round === this.#round && !this.#link) link = new Connection(this.#settle(), this.#events());
    }
    if (link) this.#use(link);
  }

  #settle(): Settings {
    return (this.#settings ??= settle(this.#options));
  }

  /** What a link tells, unless another one has taken its place. */
  #events(): LinkEvents {
    const round = this.#round;
    const current = (action: () => void): void => {
      if (round === this.#round) action();
    };
    return {
      state: (state) => current(() => this.#follow(state)),
      ready: (data) => current(() => this.#begin(data)),
      frame: (frame) => current(() => this.#receive(frame)),
    };
  }

  #follow(state: types.State): void {
    if (state.status !== "online") this.#greeting = undefined;
    if (state.status === "signedOut") this.#forget("SIGNED_OUT");
    this.update(state);
    if (state.status === "closed") this.#outbox.rejectAll("CLOSED");
  }

  #begin(data: ConnectedData): void {
    if (this.#user !== undefined && this.#user !== data.user_id) this.#forget("USER_CHANGED");
    const first = this.#user === undefined;
    this.#user = data.user_id;
    this.#greeting = data;
    this.#outbox.maxBytes = data.max_frame_bytes;
    this.#outbox.flush();
    if (first) this.#emitter.emit("user", { type: "user", user: data.user_id });
    this.#tell((part) => part.ready(data));
  }

  #receive(frame: types.Answer): void {
    this.#outbox.answer(frame);
    // What answers a command is for those who have sent it.
    if (frame.id === undefined) this.#tell((part) => part.frame(frame));
    this.#emitter.emit(frame.type, frame);
    this.#emitter.emit("*", frame);
  }

  #forget(code: types.FailureCode): void {
    const known = this.#user !== undefined;
    this.#user = this.#greeting = undefined;
    this.#outbox.rejectAll(code);
    this.#tell((part) => part.reset());
    if (known) this.#emitter.emit("user", { type: "user", user: undefined });
  }

  #tell(action: (part: Part) => void): void {
    for (const part of [...this.#parts, ...this.#rooms.values(), ...this.#topics.values()]) {
      try {
        action(part);
      } catch (error) {
        report(error);
      }
    }
  }

  // Frames and commands

  readonly on = (type: string, listener: (event: any) => void): types.Off => this.#emitter.on(type, listener);

  onState(listener: (state: types.State) => void): types.Off {
    return this.subscribe(() => listener(this.state));
  }

  send(command: types.Command): Promise<types.Answer> {
    return this.#send(command);
  }

  #send(command: types.Command, id?: string): Promise<types.Answer> {
    const refusal = { signedOut: "SIGNED_OUT", closed: "CLOSED" }[this.state.status as string];
    if (!refusal) return this.#outbox.send(command, id);
    const refused = Promise.reject(new RealtimeError(refusal));
    refused.catch(() => {});
    return refused;
  }

  readonly rest: Rest = (method, path, body) => {
    this.#rest ??= openRest(this.#settle(), this.#options.csrfToken);
    return this.#rest(method, path, body);
  };

  // Parts

  room(id: string): types.Room {
    let room = this.#rooms.get(id);
    if (!room) this.#rooms.set(id, (room = new Room(this.#hub, id)));
    return room;
  }

  topic<T = unknown>(name: string): types.Topic<T> {
    let topic = this.#topics.get(name);
    if (!topic) this.#topics.set(name, (topic = new Topic<T>(this.#hub, name)));
    return topic;
  }

  #makeHub(): Hub {
    const client = this;
    return {
      rest: (method, path, body) => client.rest(method, path, body),
      makeId: () => client.#outbox.makeId(),
      isOwn: (id) => client.#outbox.isOwn(id),
      messagesPerRoom: client.#options.limits?.messagesPerRoom ?? 1_000,
      get greeting() {
        return client.#greeting;
      },
      get user() {
        return client.#user;
      },
      send: (command, id) => client.#send(command, id),
      post: (command) => void client.#link?.transmit(command),
    };
  }
}
