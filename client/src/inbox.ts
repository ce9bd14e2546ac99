/** The notifications of a list in their order, with acts of the reader shown before the server knows them (pure). */

import type { Act, Counts, Item } from "./frames.js";
import type { InboxFilter } from "./types.js";

export const MOST_COUNTED = 100;

/** What an act makes of a notification; null: it is gone. */
export type Change = (item: Item) => Item | null;

interface Pending {
  ids: readonly number[];
  change: Change;
}

export class Inbox {
  /** As the server has them, newest first. */
  #items: Item[] = [];
  counts: Counts = { unread: 0, unseen: 0 };
  #pending = new Set<Pending>();

  get base(): readonly Item[] {
    return this.#items;
  }

  clear(): void {
    this.#items = [];
    this.#pending.clear();
    this.counts = { unread: 0, unseen: 0 };
  }

  replace(items: Item[]): void {
    this.#items = items;
  }

  /** A notification has arrived, or has changed and moves to the top. Returns the one that it replaces. */
  put(item: Item): Item | undefined {
    const old = this.#items.find(({ id }) => id === item.id);
    this.#items = [item, ...this.#items.filter(({ id }) => id !== item.id)];
    return old;
  }

  /** Something has happened to these, for good. */
  change(ids: readonly number[], change: Change): void {
    this.#items = this.#items.flatMap((item) => (ids.includes(item.id) ? (change(item) ?? []) : [item]));
  }

  /** Show a change before the server has agreed, until one of the two functions is called. */
  expect(ids: readonly number[], change: Change): { keep(): void; takeBack(): void } {
    const pending = { ids, change };
    this.#pending.add(pending);
    const takeBack = (): void => void this.#pending.delete(pending);
    const keep = (): void => {
      takeBack();
      // If the frame about it has come before, this changes nothing: neither the items nor, so, the counts.
      this.change(ids, (item) => {
        const changed = change(item);
        this.counts = recount(this.counts, item, changed);
        return changed;
      });
    };
    return { keep, takeBack };
  }

  /** What to show: the list with what is expected of it, and the counts that follow. */
  show(filter: InboxFilter): { items: Item[]; counts: Counts } {
    let { counts } = this;
    const items = this.#items.flatMap((item) => {
      const shown = this.#expected(item);
      counts = recount(counts, item, shown);
      return shown && fits(shown, filter) ? [shown] : [];
    });
    return { items, counts };
  }

  #expected(item: Item): Item | null {
    let shown: Item | null = item;
    for (const { ids, change } of this.#pending) if (shown && ids.includes(item.id)) shown = change(shown);
    return shown;
  }
}

/** The counts when `after` has taken the place of `before`; null is none. */
export function recount(counts: Counts, before: Item | null, after: Item | null): Counts {
  const step = (key: keyof Counts): number => {
    // 100 stands for more than 99, so one more or less is nothing that anybody knows.
    if (counts[key] >= MOST_COUNTED) return counts[key];
    return Math.max(0, counts[key] + Number(isCounted(after, key)) - Number(isCounted(before, key)));
  };
  return { unread: step("unread"), unseen: step("unseen") };
}

function isCounted(item: Item | null, key: keyof Counts): boolean {
  if (!item || item.archived_at || item.snoozed_until) return false;
  return !(key === "unread" ? item.read_at : item.seen_at);
}

/** Whether a notification belongs into the box. What is read stays among the unread until the list is loaded again. */
function fits(item: Item, { box = "inbox" }: InboxFilter): boolean {
  if (box === "all") return true;
  if (box === "archived") return Boolean(item.archived_at);
  return !item.archived_at && Boolean(item.snoozed_until) === (box === "snoozed");
}

/** What an act sets, if it was not set before, and what it clears. */
const SETS: Partial<Record<Act, (keyof Item)[]>> = {
  seen: ["seen_at"],
  read: ["seen_at", "read_at"],
  archive: ["archived_at"],
};
const CLEARS: Partial<Record<Act, keyof Item>> = {
  unread: "read_at",
  unarchive: "archived_at",
  unsnooze: "snoozed_until",
};

/** What an act does to a notification, as the server does it. */
export function changeBy(act: Act, now: string, until?: string): Change {
  const cleared = CLEARS[act];
  return (item) => {
    if (act === "delete") return null;
    const changed: Record<string, unknown> = { ...item };
    for (const key of SETS[act] ?? []) changed[key] ??= now;
    if (cleared) changed[cleared] = null;
    if (act === "snooze") changed["snoozed_until"] = until;
    return changed as unknown as Item;
  };
}
