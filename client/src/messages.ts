/** The messages of a room in their order (pure): what is stored, and what this page has sent and is not stored yet. */

import type { HistoryItem, Kind, UserId } from "./frames.js";
import type { Message } from "./types.js";

/** The user, and what was sent by this page: the key of such a message is its client id, from the beginning. */
interface Page {
  readonly user: UserId | undefined;
  readonly outbox: { isOwn(clientId: string | null | undefined): boolean };
}

export class MessageList {
  /** By their `seq`, ascending. */
  #stored: Message[] = [];
  /** By client id, in the order of sending. */
  #local = new Map<string, Message>();
  #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  get all(): readonly Message[] {
    return [...this.#stored, ...this.#local.values()];
  }

  get oldestSeq(): number | undefined {
    return this.#stored[0]?.seq ?? undefined;
  }

  get newestSeq(): number {
    return this.#stored.at(-1)?.seq ?? 0;
  }

  get size(): number {
    return this.#stored.length;
  }

  clear(): void {
    this.#stored = [];
    this.#local.clear();
  }

  /** What is stored may be wrong. What this page has sent and has no answer for stays. */
  forgetStored(): void {
    this.#stored = [];
  }

  /**
   * The page of the newest messages takes the place of all that is older and does not touch it: between the two,
   * messages may have been missed. Returns whether the list now begins with this page.
   */
  replace(page: HistoryItem[]): boolean {
    const first = Math.min(...page.map(({ seq }) => seq));
    if (page.length && first > this.newestSeq) this.#stored = [];
    this.add(page);
    return !page.length || this.oldestSeq === first;
  }

  add(items: HistoryItem[]): void {
    for (const item of items) this.#put(this.#read(item));
  }

  addDraft(clientId: string, text: string, kind: Kind): void {
    this.#local.set(clientId, {
      key: clientId,
      id: null,
      seq: null,
      clientId,
      userId: this.#page.user ?? null,
      username: "",
      text,
      kind,
      sentAt: new Date().toISOString(),
      mine: true,
      status: "sending",
      error: null,
    });
  }

  draft(clientId: string): Message | undefined {
    return this.#local.get(clientId);
  }

  discard(clientId: string): void {
    this.#local.delete(clientId);
  }

  /** Something has become of a message of this page. With a `seq` it is stored; its own `chat` may have come before. */
  revise(clientId: string, changes: Partial<Message>): void {
    const known = this.#local.get(clientId);
    if (!known) return;
    const message = { ...known, error: null, ...changes };
    if (message.seq) this.#put(message);
    else this.#local.set(clientId, message);
  }

  /** Forget the oldest messages above this number. Returns whether there were any. */
  trimTo(most: number): boolean {
    return this.#stored.splice(0, this.#stored.length - most).length > 0;
  }

  #put(message: Message): void {
    if (message.clientId) this.#local.delete(message.clientId);
    let at = this.#stored.length;
    while (at > 0 && this.#stored[at - 1]!.seq! > message.seq!) at--;
    const known = this.#stored[at - 1]?.seq === message.seq;
    this.#stored.splice(known ? at - 1 : at, known ? 1 : 0, message);
  }

  #read(item: HistoryItem): Message {
    const { outbox, user } = this.#page;
    const clientId = outbox.isOwn(item.client_id) ? item.client_id! : null;
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
      mine: item.from_user_id !== null && item.from_user_id === user,
      status: "stored",
      error: null,
    };
  }
}
