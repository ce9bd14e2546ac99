/** The inbox of the user: a list with filters, its counts, and what the reader does with it. */

import { quiet } from "./events.js";
import type { Act, ConnectedData, Counts, InboxFrame, Item } from "./frames.js";
import type { Hub, Part } from "./hub.js";
import { changeBy, type Change, Inbox, NOTHING, recount } from "./inbox.js";
import { Loader } from "./loader.js";
import { Retained } from "./retained.js";
import type * as types from "./types.js";

const PAGE = 50;
/** The server gives no more at once. */
const LONGEST_PAGE = 200;
/** A list is loaded without a socket when none was opened for so long. */
const SOCKET_MS = 2_000;
/** The clocks of two servers may differ by as much. */
const SKEW_MS = 2_000;
const EMPTY: types.InboxSnapshot = {
  items: [],
  counts: NOTHING,
  filter: {},
  hasMore: false,
  loading: false,
  error: null,
};

/** Acts of another device after which the list can be brought up to date without loading it again. */
const KNOWN_ACTS = /^(seen|read|archive|snooze|delete)$/;

/** Acts on some notifications, each of which is a method. */
const MARKS = "read unread archive unarchive snooze unsnooze delete";

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

type Marks = Pick<types.Notifications, "read" | "unread" | "archive" | "unarchive" | "snooze" | "unsnooze" | "remove">;

/** What the snapshot has can be read from the object as well. */
export interface Notifications extends types.InboxSnapshot, Marks {}

export class Notifications extends Retained<types.InboxSnapshot> implements types.Notifications, Part {
  #hub: Hub;
  #inbox = new Inbox();
  override readonly loader = new Loader(this, (isCurrent) => this.#load(isCurrent));
  #next: string | null | undefined;
  #last: Partial<Last> = {};
  /** A frame has counted what was sent until then, though some of it may come after that frame. */
  #countedUntil = 0;
  /** Those without an answer yet. */
  #acts = new Set<Promise<Changed>>();

  constructor(hub: Hub) {
    super(EMPTY);
    this.#hub = hub;
    for (const act of MARKS.split(" ") as Act[])
      this[act === "delete" ? "remove" : (act as "read")] = (ids: types.Ids, until?: Date) =>
        this.#mark(act, [ids].flat(), until);
  }

  // The list

  open(): types.Off {
    return this.join();
  }

  show(filter: types.InboxFilter): Promise<void> {
    this.loader.stop();
    this.#inbox.base = [];
    this.#show({ filter, hasMore: false });
    return this.reload();
  }

  reload(): Promise<void> {
    return this.loader.runNow();
  }

  loadMore(): Promise<void> {
    return this.loader.runMore(async (isCurrent) => {
      const next = this.#next;
      if (!next) return;
      const page = await this.#request(next);
      // The list may have been loaded again meanwhile, so that this page follows something else.
      if (isCurrent() && next === this.#next) this.#take(page, this.#inbox.base);
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
    this.#inbox.base = [...before, ...notifications.filter(({ id }) => !before.some((known) => known.id === id))];
    this.#show({ hasMore: !!next });
  }

  async #request(before?: string): Promise<Page> {
    // Nobody could tell whether the answer contains what is under way.
    while (this.#acts.size) await Promise.allSettled(this.#acts);
    // A list that is loaded again does not become shorter under the eyes of its reader.
    const limit = before ? PAGE : Math.min(LONGEST_PAGE, Math.max(PAGE, this.#inbox.base.length));
    // As JSON, it has no keys without a value. Lists become names between commas.
    const given = JSON.parse(JSON.stringify({ limit, before, ...this.filter }));
    return this.#hub.rest("GET", `/notifications?${new URLSearchParams(given)}`);
  }

  // Acts

  seen(ids?: types.Ids): Promise<void> {
    return this.#mark("seen", (ids && [ids].flat()) as number[] | undefined);
  }

  readAll(): Promise<void> {
    return this.#mark("read");
  }

  archiveAll(): Promise<void> {
    return this.#mark("archive");
  }

  act(id: number, key: string): Promise<void> {
    const read = changeBy("read");
    const change: Change = (item) => ({ ...read(item)!, action: key });
    return quiet(this.#try([id], change, `/notifications/${id}/actions/${encodeURIComponent(key)}`));
  }

  undo(): Promise<boolean> {
    return quiet(this.#undo());
  }

  async #undo(): Promise<boolean> {
    while (this.#acts.size) await Promise.allSettled(this.#acts);
    const { undo, before } = this.#last;
    if (!undo) return false;
    await this.#try(
      before!.map(({ id }) => id),
      (item) => before!.find(({ id }) => id === item.id)!,
      "/notifications/undo",
      { undo },
    );
    // What was removed is in no list of this page any more.
    await this.reload();
    return true;
  }

  /** Without `some`, all that the list shows, and what is not loaded. */
  #mark(act: Act, some?: number[], until?: Date): Promise<void> {
    const { base } = this.#inbox;
    const ids = some ?? this.items.map(({ id }) => id);
    if (!(some ?? base).length) return Promise.resolve();
    return quiet(
      this.#try(
        ids,
        changeBy(act, until),
        "/notifications/acts",
        some ? { act, ids, until } : { act, filter: this.filter, up_to: `${base[0]!.arrived_at}_${base[0]!.id}` },
      ),
    );
  }

  /** Show a change at once, and take it back if the server refuses it. The server has them in the order of the calls. */
  async #try(ids: number[], change: Change, path: string, body: { act?: Act; [key: string]: unknown } = {}): Promise<void> {
    const before = this.#inbox.base.filter(({ id }) => ids.includes(id));
    const settle = this.#inbox.expect(ids, change);
    this.#show();
    const sent = this.#hub.rest<Changed>("POST", path, body, Promise.allSettled(this.#acts));
    this.#acts.add(sent);
    try {
      const answer = await sent;
      if (!settle(true)) return;
      // A list on its way may be older.
      if (this.loading) this.#loadAgain();
      // With a socket, a frame brings the counts. An answer may be older than the last frame.
      if (!this.#hub.greeting && answer.counts) this.#inbox.counts = answer.counts;
      this.#show({ error: null });
      // What has failed can be taken back later.
      if (body.act !== "seen") this.#last = { ...answer, before };
    } catch (error) {
      if (settle(false)) this.#show({ error: error as Error });
      throw error;
    } finally {
      this.#acts.delete(sent);
    }
  }

  // What the client tells

  /** What arrives between a list and the first socket would be missing, so the socket comes first, if it comes. */
  protected override begin(): void {
    this.loader.runAfter(this.#hub.greeting ? 0 : SOCKET_MS);
  }

  ready(_data: ConnectedData, isFresh: boolean): void {
    if (isFresh || this.error) this.#loadAgain();
  }

  reset(): void {
    this.#inbox.clear();
    this.#next = undefined;
    this.#last = {};
    this.update({ ...EMPTY, filter: this.filter });
  }

  takeFrame({ type, data, timestamp, stream }: types.Answer): void {
    const at = Date.parse(timestamp);
    if (type === "notification") this.#add(data, at < this.#countedUntil);
    // `inbox`, `notification_removed`, or `notifications_waiting`, which does not say what has changed.
    else if (/^(inbox|notification(_removed|s_waiting))$/.test(type)) {
      this.#countedUntil = at + SKEW_MS;
      this.#follow(data);
    } else if (type === "gap" && /^user/.test(stream)) this.#loadAgain();
  }

  #add(item: Item, isCounted: boolean): void {
    const { box, ...others } = this.filter;
    // What fits other filters, the server knows.
    if (Object.keys(others).length) this.#loadAgain();
    else if (this.isHeld) {
      const old = this.#inbox.put(item);
      this.#inbox.counts = recount(this.#inbox.counts, old, item);
      this.#show();
      // An older one that is not in the list, or one of that moment, may have been counted already. One that the list has
      // says that the list was ahead, and that counts since then may lack it. And a list on its way may lack this one.
      const isOdd = old ? item.arrived_at <= old.arrived_at : item.arrived_at > item.created_at;
      if (isCounted || isOdd || this.loading) this.#loadAgain();
    }
    this.emit("notification", item);
  }

  #follow({ act = "delete", notification_ids: ids, unread, unseen }: InboxFrame["data"]): void {
    this.#inbox.alter(ids ?? [], changeBy(act));
    this.#inbox.counts = { unread, unseen };
    this.#show();
    const { box = "inbox" } = this.filter;
    if (!ids || !KNOWN_ACTS.test(act) || box !== "inbox" || this.loading) this.#loadAgain();
  }

  #loadAgain(): void {
    if (this.isHeld) void this.reload();
  }

  #show(changes?: Partial<types.InboxSnapshot>): void {
    const shown = this.#inbox.preview(changes?.filter ?? this.filter);
    this.update({ ...changes, ...shown });
  }
}
