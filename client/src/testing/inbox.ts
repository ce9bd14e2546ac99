/** The inbox of the fake server: its notifications, and the acts on them. Used by `rest` and `server`. */

import type { Act, Counts, Item } from "../frames.js";
import { Refusal } from "./rest.js";
import { now } from "./time.js";

export type Changed = { changed: number; undo: string; counts: Counts };

/** What an act makes of a notification; undefined: it is deleted. */
const ACTS: Record<string, (item: Item, now: string, body: any) => Partial<Item> | undefined> = {
  seen: (item, now) => ({ seen_at: item.seen_at ?? now }),
  read: (item, now) => ({ read_at: item.read_at ?? now, seen_at: item.seen_at ?? now }),
  unread: () => ({ read_at: null }),
  archive: (_, now) => ({ archived_at: now, snoozed_until: null }),
  unarchive: () => ({ archived_at: null }),
  snooze: (_, __, { until }) => ({ snoozed_until: until, archived_at: null }),
  unsnooze: () => ({ snoozed_until: null }),
  delete: () => undefined,
};

export class FakeInbox {
  private items: Item[] = []; // oldest first
  private undos = new Map<string, { act: Act; before: Item[] }>();

  /** `announce` sends `inbox` to the user's sockets. */
  constructor(private readonly announce: (act: Act, ids: number[], counts: Counts) => void) {}

  get counts(): Counts {
    const shown = this.items.filter(isInInbox);
    return {
      unread: shown.filter(({ read_at }) => !read_at).length,
      unseen: shown.filter(({ seen_at }) => !seen_at).length,
    };
  }

  add(fields: Partial<Item> = {}): Item {
    const id = fields.id ?? 1 + Math.max(0, ...this.items.map((item) => item.id));
    const item = { ...blank(id), ...fields };
    this.items = [...this.items.filter((other) => other.id !== id), item];
    return item;
  }

  remove(ids: readonly number[]): void {
    this.items = this.items.filter(({ id }) => !ids.includes(id));
  }

  list(query: URLSearchParams): object {
    const limit = Number(query.get("limit") ?? 50);
    const before = query.get("before");
    const found = this.items.toReversed().filter((item) => matches(item, query) && (!before || placeOf(item) < before));
    const page = found.slice(0, limit);
    return {
      notifications: page,
      next: found.length > limit ? placeOf(page.at(-1)!) : null,
      newest: found[0] ? placeOf(found[0]) : "",
      counts: this.counts,
    };
  }

  /** `ids` null: all that `body.filter` and `body.up_to` name. */
  act(act: string, ids: readonly number[] | null, body: any): Changed {
    const change = ACTS[act];
    if (!change) throw new Refusal(400, "INVALID_MESSAGE");
    const query = new URLSearchParams(body?.filter);
    const isMeant = (item: Item): boolean =>
      ids ? ids.includes(item.id) : matches(item, query) && (!body.up_to || placeOf(item) <= body.up_to);
    const before = this.items.filter(isMeant);
    if (ids?.length === 1 && before.length === 0) throw new Refusal(404, "NOT_FOUND");
    const time = now();
    return this.store(act as Act, before, (item) => change(item, time, body));
  }

  /** The command `read`: what does not exist is left out. */
  read(ids: readonly number[]): void {
    const known = this.items.filter(({ id }) => ids.includes(id)).map(({ id }) => id);
    if (known.length) this.act("read", known, {});
  }

  take(id: number, key: string): Item {
    const found = this.items.find((item) => item.id === id);
    if (!found) throw new Refusal(404, "NOT_FOUND");
    if (found.action && found.action !== key) throw new Refusal(409, "CONFLICT");
    const read = { read_at: found.read_at ?? now(), seen_at: found.seen_at ?? now() };
    this.store("act", [found], () => ({ action: key, ...read }));
    return this.items.find((item) => item.id === id)!;
  }

  undo(key: string): Changed {
    const found = this.undos.get(key);
    this.undos.delete(key);
    if (!found) return { changed: 0, undo: "", counts: this.counts };
    const byId = new Map(found.before.map((item) => [item.id, item]));
    const kept = this.items.filter(({ id }) => !byId.has(id));
    this.items = [...kept, ...found.before].sort((one, other) => (placeOf(one) < placeOf(other) ? -1 : 1));
    this.announce("undo", [...byId.keys()], this.counts);
    return { changed: byId.size, undo: "", counts: this.counts };
  }

  private store(act: Act, before: Item[], change: (item: Item) => Partial<Item> | undefined): Changed {
    if (before.length === 0) return { changed: 0, undo: "", counts: this.counts };
    this.items = this.items.flatMap((item) => {
      if (!before.includes(item)) return [item];
      const changed = change(item);
      return changed ? [{ ...item, ...changed }] : [];
    });
    const undo = `undo-${act}-${this.undos.size}-${Date.now()}`;
    this.undos.set(undo, { act, before });
    this.announce(act, before.map(({ id }) => id), this.counts);
    return { changed: before.length, undo, counts: this.counts };
  }
}

function isInInbox(item: Item): boolean {
  return !item.archived_at && !item.snoozed_until;
}

/** `<arrived_at>_<id>`, with which lists are paged. */
function placeOf({ arrived_at, id }: Item): string {
  return `${arrived_at}_${String(id).padStart(12, "0")}`;
}

function matches(item: Item, query: URLSearchParams): boolean {
  const boxes: Record<string, boolean> = {
    inbox: isInInbox(item),
    archived: Boolean(item.archived_at),
    snoozed: Boolean(item.snoozed_until),
    all: true,
  };
  const unread = query.get("unread");
  const lists = [
    [query.get("type"), item.type],
    [query.get("category"), item.category],
    [query.get("level"), item.level],
    [query.get("reason"), item.reason],
    [query.get("actor"), String(item.actor?.user_id)],
  ] as const;
  const since = query.get("since");
  return (
    (boxes[query.get("box") ?? "inbox"] ?? false) &&
    (unread === null || (unread === "true") === !item.read_at) &&
    (!since || Date.parse(item.arrived_at) >= Date.parse(since)) &&
    lists.every(([wanted, value]) => !wanted || wanted.split(",").includes(value))
  );
}

function blank(id: number): Item {
  const time = now();
  return {
    id,
    type: "new_follower",
    title: "New follower",
    message: "Bob followed you",
    data: {},
    link: "",
    created_at: time,
    category: "social",
    level: "info",
    reason: "",
    actor: null,
    target: null,
    group: null,
    actions: [],
    action: "",
    arrived_at: time,
    seen_at: null,
    read_at: null,
    archived_at: null,
    snoozed_until: null,
    expires_at: null,
  };
}
