/** The inbox of the user: a list with filters, its counts, and what the reader does with it. */

import { quiet } from "./events.js";
import type { Act, ConnectedData, Counts, InboxFrame, Item } from "./frames.js";
import type { Hub, Part } from "./hub.js";
import { changeBy, type Change, Inbox, recount } from "./inbox.js";
import { Loader } from "./loader.js";
import { Retained } from "./retained.js";
import type * as types from "./types.js";

const PAGE = 50;
/** A list is loaded without a socket when none was opened for so long. */
const SOCKET_MS = 2_000;
/** The clocks of two servers may differ by as much. */
const SKEW_MS = 2_000;
const EMPTY: types.InboxSnapshot = {
  items: [],
  counts: { unread: 0, unseen: 0 },
  filter: {},
  hasMore: false,
  loading: false,
  error: null,
};

/** Acts of another device after which the list can be brought up to date without loading it again. */
const KNOWN_ACTS: Act[] = ["seen", "read", "unread", "archive", "snooze", "delete"];

/** The last act, and how the notifications were before it. */
interface Last {
  undo: string;
  before: Item[];
}

interface Changed {
  changed: number;
  undo: string;
  counts: Counts;
}

interface Page {
  notifications: Item[];
  next: string | null;
  counts: Counts;
}

/** What the snapshot has can be read from the object as well. */
export interface Notifications extends types.InboxSnapshot {}

export class Notifications extends Retained<types.InboxSnapshot> implements types.Notifications, Part {
  #hub: Hub;
  #inbox = new Inbox();
  #loader = new Loader(this, (isCurrent) => this.#load(isCurrent));
  #next: string | null = null;
  #last: Last | undefined;
  /** When a frame has last counted. What was sent before may be among the counts, though it comes after them. */
  #countedAt = 0;
  /** Those without an answer yet: until then, nobody knows what the last one was. */
  #acts = new Set<Promise<void>>();

  constructor(hub: Hub) {
    super(EMPTY);
    this.#hub = hub;
  }

  // The list

  open(): types.Off {
    return this.join();
  }

  show(filter: types.InboxFilter): Promise<void> {
    this.#loader.stop();
    this.#inbox.replace([]);
    this.#show({ filter, hasMore: false });
    return this.reload();
  }

  reload(): Promise<void> {
    return this.#loader.runNow();
  }

  loadMore(): Promise<void> {
    return this.#loader.runMore(async () => {
      const next = this.#next;
      if (next === null) return;
      const page = await this.#request(next);
      // The list may have been loaded again meanwhile, so that this page follows something else.
      if (next === this.#next) this.#take(page, this.#inbox.base);
    });
  }

  async #load(isCurrent: () => boolean): Promise<void> {
    const page = await this.#request();
    if (!isCurrent()) return;
    this.#inbox.counts = page.counts;
    this.#take(page, []);
  }

  #take({ next, notifications }: Page, before: readonly Item[]): void {
    this.#next = next;
    const known = before.map(({ id }) => id);
    this.#inbox.replace([...before, ...notifications.filter(({ id }) => !known.includes(id))]);
    this.#show({ hasMore: next !== null });
  }

  #request(before?: string): Promise<Page> {
    const given = Object.entries({ limit: PAGE, before, ...this.filter }).filter(([, value]) => value !== undefined);
    return this.#hub.rest("GET", `/notifications?${new URLSearchParams(given as string[][])}`);
  }

  // Acts

  readonly read = this.#marker("read");
  readonly unread = this.#marker("unread");
  readonly archive = this.#marker("archive");
  readonly unarchive = this.#marker("unarchive");
  readonly snooze: types.Notifications["snooze"] = this.#marker("snooze");
  readonly unsnooze = this.#marker("unsnooze");
  readonly remove = this.#marker("delete");

  seen(ids?: types.Ids): Promise<void> {
    return this.#mark("seen", ids === undefined ? ids : [ids].flat());
  }

  readAll(): Promise<void> {
    return this.#mark("read");
  }

  archiveAll(): Promise<void> {
    return this.#mark("archive");
  }

  act(id: number, key: string): Promise<void> {
    const now = new Date().toISOString();
    const change: Change = (item) => ({ ...changeBy("read", now)(item)!, action: key });
    return quiet(this.#try([id], change, `/notifications/${id}/actions/${encodeURIComponent(key)}`, {}));
  }

  undo(): Promise<boolean> {
    return quiet(this.#undo());
  }

  async #undo(): Promise<boolean> {
    if (this.#acts.size) await Promise.allSettled(this.#acts);
    const last = this.#last;
    if (!last) return false;
    this.#last = undefined;
    const { undo, before } = last;
    const ids = before.map(({ id }) => id);
    await this.#try(ids, (item) => before[ids.indexOf(item.id)]!, "/notifications/undo", { undo });
    // What was removed is in no list of this page any more.
    await this.reload();
    return true;
  }

  #marker(act: Act): (ids: types.Ids, until?: Date) => Promise<void> {
    return (ids, until) => this.#mark(act, [ids].flat(), until);
  }

  /** Without `some`, all that the list shows, and what is not loaded. */
  #mark(act: Act, some?: number[], until?: Date): Promise<void> {
    const { base } = this.#inbox;
    if (!(some ?? base).length) return Promise.resolve();
    const ids = some ?? this.items.map(({ id }) => id);
    const body = some ? { act, ids, until } : { act, filter: this.filter, up_to: `${base[0]!.arrived_at}_${base[0]!.id}` };
    const before = base.filter(({ id }) => ids.includes(id));
    const change = changeBy(act, new Date().toISOString(), until?.toISOString());
    const keepUndo = ({ undo }: Changed): void => {
      if (undo && act !== "seen") this.#last = { undo, before };
    };
    const done = this.#try(ids, change, "/notifications/acts", body, keepUndo).finally(() => this.#acts.delete(done));
    this.#acts.add(done);
    return quiet(done);
  }

  /** Show a change at once, and take it back if the server refuses it. */
  async #try(ids: number[], change: Change, path: string, body: object, use?: (answer: Changed) => void): Promise<void> {
    const settle = this.#inbox.expect(ids, change);
    this.#show();
    const user = this.#hub.user;
    try {
      const answer = await this.#hub.rest<Changed>("POST", path, body);
      if (user !== this.#hub.user) return;
      settle(true);
      // With a socket, a frame brings the counts. An answer may be older than the last frame.
      if (!this.#hub.greeting && answer.counts) this.#inbox.counts = answer.counts;
      this.#show({ error: null });
      use?.(answer);
    } catch (error) {
      settle(false);
      this.#show({ error: error as Error });
      throw error;
    }
  }

  // What the client tells

  /** What arrives between a list and the first socket would be missing, so the socket comes first, if it comes. */
  protected override begin(): void {
    this.#loader.runAfter(this.#hub.greeting ? 0 : SOCKET_MS);
  }

  protected override finish(): void {
    this.#loader.stop();
  }

  ready(_data: ConnectedData, isFresh: boolean): void {
    if (isFresh || this.error) this.#loadAgain();
  }

  reset(): void {
    this.#loader.stop();
    this.#inbox.clear();
    this.#next = null;
    this.#last = undefined;
    this.#countedAt = 0;
    this.update({ ...EMPTY, filter: this.filter });
  }

  takeFrame({ type, data, stream, timestamp }: types.Answer): void {
    const at = Date.parse(timestamp);
    if (type === "notification") this.#add(data, at);
    else if (type === "inbox") this.#follow(data, at);
    else if (type === "notification_removed") this.#follow({ ...data, act: "delete" }, at);
    else if (type === "notifications_waiting" || (type === "gap" && stream.startsWith("user."))) this.#loadAgain();
  }

  #add(item: Item, sentAt: number): void {
    const { box, ...others } = this.filter;
    // What fits other filters, the server knows.
    if (Object.keys(others).length) this.#loadAgain();
    else if (this.isHeld) {
      const old = this.#inbox.put(item);
      this.#inbox.counts = recount(this.#inbox.counts, old ?? null, item);
      this.#show();
      // An older one that is not in the list, or one of that moment, may have been counted already; and a list on its
      // way may lack this one.
      const isOld = (!old && item.created_at !== item.arrived_at) || sentAt < this.#countedAt + SKEW_MS;
      if (isOld || this.loading) this.#loadAgain();
    }
    this.emit("notification", item);
  }

  #follow({ act, notification_ids: ids, unread, unseen }: InboxFrame["data"], at: number): void {
    const now = new Date().toISOString();
    this.#inbox.alter(ids ?? [], changeBy(act, now, now));
    this.#inbox.counts = { unread, unseen };
    this.#countedAt = at;
    this.#show();
    const known = ids && KNOWN_ACTS.includes(act) && (this.filter.box ?? "inbox") === "inbox";
    if (!known || this.loading) this.#loadAgain();
  }

  #loadAgain(): void {
    if (this.isHeld) void this.reload();
  }

  #show(changes: Partial<types.InboxSnapshot> = {}): void {
    const shown = this.#inbox.show(changes.filter ?? this.filter);
    this.update({ ...changes, ...shown });
  }
}
