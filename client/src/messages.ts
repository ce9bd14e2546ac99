/** The messages of a room in their order (pure): what is stored, and what this page has sent and is not stored yet. */

import type { HistoryItem, Kind, UserId } from "./frames.js";
import type { Message } from "./types.js";

/** The user, and what was sent by this page: the key of such a message is its client id, from the beginning. */
interface Page {
  readonly user: UserId | undefined;
  readonly outbox: { isOwn(clientId: string | null | undefined): boolean | undefined };
}

/** By key, drafts in the order of sending. */
export class MessageList extends Map<string, Message> {
  #page: Page;

  constructor(page: Page) {
    super();
    this.#page = page;
  }

  /** Those that are stored by their `seq`, ascending, and then those of this page that are not. */
  get sorted(): readonly Message[] {
    // Between two of the latter the difference is NaN, which counts as 0: their order stays.
    return [...this.values()].sort((a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity));
  }

  /** The positions of those that are stored, ascending. */
  get seqs(): number[] {
    return this.sorted.flatMap((message) => message.seq ?? []);
  }

  /**
   * The page of the newest messages takes the place of all that is older, if the list is `complete` only up to a
   * position before it: between the two, messages may have been missed. Returns whether the list now begins with it.
   */
  takePage(page: HistoryItem[], complete: number): boolean {
    // Pages have the newest message first.
    const first = page.at(-1)?.seq;
    if (first! > complete) this.trimTo(this.seqs.filter((seq) => seq >= first!).length);
    this.add(page);
    return this.seqs[0] === first;
  }

  add(items: HistoryItem[]): void {
    for (const item of items) {
      const message = this.#read(item);
      this.set(message.key, message);
    }
  }

  addDraft(clientId: string, text: string, kind: Kind): void {
    this.set(clientId, {
      key: clientId,
      id: null,
      seq: null,
      clientId,
      userId: this.#page.user ?? null,
      username: "",
      text,
      kind,
      sentAt: new Date().toJSON(),
      mine: true,
      status: "sending",
      error: null,
    });
  }

  /** A message of this page that is not stored. */
  draft(clientId: string): Message | undefined {
    const message = this.get(clientId);
    return message?.seq ? undefined : message;
  }

  /** Something has become of a draft. With a `seq` it is stored; its own `chat` may have come before. */
  revise(clientId: string, changes: Partial<Message>): void {
    const draft = this.draft(clientId);
    if (draft) this.set(clientId, { ...draft, error: null, ...changes });
  }

  /** Forget the oldest of the stored messages above this number. Returns one of them, if there were any. */
  trimTo(most: number): Message | undefined {
    const old = this.sorted.slice(0, Math.max(0, this.seqs.length - most));
    for (const { key } of old) this.delete(key);
    return old[0];
  }

  #read(item: HistoryItem): Message {
    const { user, outbox } = this.#page;
    const mine = item.from_user_id === user;
    // Others can read the ids of this page, and send them.
    const clientId = mine && outbox.isOwn(item.client_id) ? item.client_id! : null;
    return {
      key: clientId ?? String(item.message_id),
      id: item.message_id,
      seq: item.seq,
      clientId,
      userId: item.from_user_id,
      username: item.from_username,
      text: item.message,
      kind: item.kind,
      sentAt: item.timestamp,
      mine,
      status: "stored",
      error: null,
    };
  }
}
