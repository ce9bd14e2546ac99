/** The notifications of a list in their order, with acts of the reader shown before the server knows them (pure). */

import type { Act, Counts, Item } from "./frames.js";
import type { InboxFilter } from "./types.js";

export const MOST_COUNTED = 100;
export const NOTHING: Counts = { unread: 0, unseen: 0 };

/** What an act makes of a notification; null: it is gone. */
export type Change = (item: Item) => Item | null;

interface Pending {
  ids: readonly number[];
  effect: Change;
}

/** It holds the changes that the server has not answered yet. */
export class Inbox extends Set<Pending> {
  /** As the server has them, newest first. */
  base: readonly Item[] = [];
  counts = NOTHING;

  override clear(): void {
    this.base = [];
    super.clear();
    this.counts = NOTHING;
  }

  /** A notification has arrived, or has changed and moves to the top. Returns the one that it replaces. */
  put(item: Item): Item | undefined {
    const old = this.base.find(({ id }) => id === item.id);
    this.base = [item, ...this.base.filter(({ id }) => id !== item.id)];
    return old;
  }

  /** Something has happened to these, for good. */
  alter(ids: readonly number[], change: Change): void {
    this.base = this.base.flatMap((item) => (ids.includes(item.id) ? (change(item) ?? []) : [item]));
  }

  /**
   * Show a change before the server has answered. Returns a function that keeps it or takes it back, which returns false
   * if everything was forgotten meanwhile.
   */
  expect(ids: readonly number[], change: Change): (isKept: boolean) => boolean {
    const pending = { ids, effect: change };
    this.add(pending);
    return (isKept) => {
      const known = this.delete(pending);
      // If the frame about it has come before, this changes nothing: neither the items nor, so, the counts.
      if (isKept && known) this.alter(ids, (item) => {
        const changed = change(item);
        this.counts = recount(this.counts, item, changed);
        return changed;
      });
      return known;
    };
  }

  /** What to show: the list with what is expected of it, and the counts that follow. */
  preview({ box = "inbox" }: InboxFilter): { items: Item[]; counts: Counts } {
    let { counts } = this;
    const items = this.base.flatMap((item) => {
      let shown: Item | null = item;
      for (const { ids, effect: change } of this) if (shown && ids.includes(item.id)) shown = change(shown);
      counts = recount(counts, item, shown);
      // What is read stays among the unread until the list is loaded again.
      return shown && (box === "all" || box === boxOf(shown)) ? [shown] : [];
    });
    return { items, counts };
  }
}

/** The counts when `after` has taken the place of `before`; null is none. */
export function recount(counts: Counts, before: Item | null | undefined, after: Item | null): Counts {
  const step = (key: keyof Counts, moment: "read_at" | "seen_at"): number => {
    const count = (item: Item | null | undefined): number => Number(!!item && boxOf(item) === "inbox" && !item[moment]);
    // 100 stands for more than 99, so one more or less is nothing that anybody knows.
    return counts[key] < MOST_COUNTED ? Math.max(0, counts[key] + count(after) - count(before)) : counts[key];
  };
  return { unread: step("unread", "read_at"), unseen: step("unseen", "seen_at") };
}

function boxOf({ archived_at, snoozed_until }: Item): InboxFilter["box"] {
  return archived_at ? "archived" : snoozed_until ? "snoozed" : "inbox";
}

/** What an act of now does to a notification, as the server does it. */
export function changeBy(act: Act, until?: Date): Change {
  const now = new Date().toJSON();
  return (item) => {
    const seen_at = item.seen_at ?? now;
    const effects: Partial<Record<Act, Partial<Item>>> = {
      seen: { seen_at },
      read: { seen_at, read_at: item.read_at ?? now },
      unread: { read_at: null },
      archive: { archived_at: now, snoozed_until: null },
      unarchive: { archived_at: null },
      snooze: { snoozed_until: until?.toJSON() ?? now, archived_at: null },
      unsnooze: { snoozed_until: null },
    };
    return act === "delete" ? null : { ...item, ...effects[act] };
  };
}
