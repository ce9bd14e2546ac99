/** Who is online: the number of all, and the status of those whom the page shows. */

import { countOnline } from "./counting.js";
import { Store } from "./events.js";
import type { ConnectedData, UserId } from "./frames.js";
import type { Hub, Part } from "./hub.js";
import { Loader } from "./loader.js";
import type * as types from "./types.js";

const AT_ONCE = 200;
/** After an `online_count`, changes of single users are not known: they are looked up within this time. */
const LOOK_UP_MS = 10_000;
const EMPTY: types.PresenceSnapshot = { onlineCount: null, users: {} };

interface Status {
  user_id: UserId;
  status: types.PresenceStatus;
}

/** What the snapshot has can be read from the object as well. */
export interface Presence extends types.PresenceSnapshot {}

export class Presence extends Store<types.PresenceSnapshot> implements types.Presence, Part {
  #hub: Hub;
  /** Each place of the page that watches users has a list of its own. */
  #watched = new Set<string[]>();
  readonly loader = new Loader(new Store({}), (isCurrent) => this.#load(isCurrent));
  /** What this page has set, to set it again on a new socket. */
  #own: types.Command | undefined;
  /** The last of it that the server has accepted. */
  #accepted: types.Command | undefined;
  /** Those who are looked up, but for whom a frame has come since: the answer may be older. */
  #asked = new Set<string>();

  constructor(hub: Hub) {
    super(EMPTY);
    this.#hub = hub;
  }

  status(user: UserId): types.PresenceStatus | undefined {
    return this.users[user];
  }

  watch(users: readonly (UserId | null)[]): types.Off {
    // The author of a message may be deleted. For one id that is none, the server refuses the whole request.
    const names = users.filter((user) => user).map(String);
    this.#watched.add(names);
    // In a moment, so that many views that begin together make one request.
    if (this.#hub.greeting && names.some((name) => !this.users[name])) this.loader.runAfter(0);
    return () => this.#watched.delete(names);
  }

  setStatus(status: types.PresenceStatus, data: Record<string, unknown> = {}): Promise<types.Answer> {
    const own = (this.#own = { type: "presence", status, data });
    const sent = this.#hub.send(own);
    sent.then(
      () => {
        this.#accepted = own;
        // The server announces it to others alone.
        this.loader.runAfter(0);
      },
      // What was refused would be refused again with each socket, or be too large for it.
      () => this.#own === own && (this.#own = this.#accepted),
    );
    return sent;
  }

  ready({ online_count }: ConnectedData): void {
    this.update({ onlineCount: online_count });
    void this.loader.runNow();
    if (this.#own) this.#hub.sendNow(this.#own);
  }

  reset(): void {
    this.#own = this.#accepted = undefined;
    this.update(EMPTY);
  }

  takeFrame(frame: types.Answer): void {
    const { type, data } = frame;
    this.update({ onlineCount: countOnline(this.onlineCount!, frame) });
    if (type === "online_count") this.loader.runAfter(LOOK_UP_MS * Math.random());
    if (type !== "user_status" && type !== "presence") return;
    this.#set([data]);
    // Of this user only another tab tells, which has set it later: so it is what this tab sets again, too.
    if (data.user_id === this.#hub.user) this.#own &&= this.#accepted = { type, ...data };
  }

  /** What was known of users whom nobody watches any more is forgotten, so that watching them again asks. */
  #set(found: Status[], names = this.#names): void {
    const watched = this.#names;
    const users: Record<string, types.PresenceStatus> = {};
    for (const id in this.users) if (watched.has(id)) users[id] = this.users[id]!;
    for (const { user_id, status } of found) {
      if (names.has(String(user_id))) users[user_id] = status;
      this.#asked.delete(String(user_id));
    }
    this.update({ users });
  }

  get #names(): Set<string> {
    return new Set([...this.#watched].flat());
  }

  async #load(isCurrent: () => boolean): Promise<void> {
    this.#asked = this.#names;
    this.#set([]);
    const names = [...this.#asked].map(encodeURIComponent);
    while (names.length) {
      const found = await this.#hub.rest<Status[]>("GET", `/status?user_ids=${names.splice(0, AT_ONCE).join()}`);
      if (!isCurrent()) return;
      this.#set(found, this.#asked);
    }
  }
}
