/** The messages of a room in their order (pure): what is stored, and what this page has sent and is not stored yet. */

import type { HistoryItem, Kind, UserId } from "./frames.js";
import type { Message } from "./types.js";

export class MessageList {
  /** By their `seq`, ascending. */
  #stored: Message[] = [];
  /** By client id, in the order of sending. */
  #local = new Map<string, Message>();
  /** Whether a message was sent by this page: its key then is its client id, from the beginning. */
  #isOwn: (clientId: string | null | undefined) => boolean;

  constructor(isOwn: (clientId: string | null | undefined) => boolean) {
    this.#isOwn = isOwn;
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
  replace(page: HistoryItem[], user: UserId | undefined): boolean {
    const first = Math.min(...page.map(({ seq }) => seq));
    if (page.length && first > this.newestSeq) this.#stored = [];
    this.add(page, user);
    return !page.length || this.oldestSeq === first;
  }

  add(items: HistoryItem[], user: UserId | undefined): void {
    for (const item of items) this.#put(this.#read(item, user));
  }

  addDraft(clientId: string, text: string, kind: Kind, user: UserId | undefined): void {
    const own = { client_id: clientId, from_user_id: user ?? null, from_username: "", message: text, kind };
    const unknown = { message_id: null, seq: null, timestamp: new Date().toISOString() };
    const draft = this.#read({ ...own, ...unknown } as unknown as HistoryItem, user);
    this.#local.set(clientId, { ...draft, mine: true, status: "sending" });
  }

  draft(clientId: string): Message | undefined {
    return this.#local.get(clientId);
  }

  discard(clientId: string): void {
    this.#local.delete(clientId);
  }

  setStatus(clientId: string, status: Message["status"], error: Error | null = null): void {
    const message = this.#local.get(clientId);
    if (message) this.#local.set(clientId, { ...message, status, error });
  }

  /** The server has stored a message of this page. Its own `chat` may have come before. */
  confirm(clientId: string, id: number, seq: number): void {
    const message = this.#local.get(clientId);
    if (message) this.#put({ ...message, id, seq, status: "stored", error: null });
  }

  /** Forget the oldest messages above this number. Returns whether there were any. */
  trim(most: number): boolean {
    const excess = this.#stored.length - most;
    if (excess > 0) this.#stored = this.#stored.slice(excess);
    return excess > 0;
  }

  #put(message: Message): void {
    if (message.clientId) this.#local.delete(message.clientId);
    let at = this.#stored.length;
    while (at > 0 && this.#stored[at - 1]!.seq! > message.seq!) at--;
    const known = this.#stored[at - 1]?.seq === message.seq;
    this.#stored.splice(known ? at - 1 : at, known ? 1 : 0, message);
  }

  #read(item: HistoryItem, user: UserId | undefined): Message {
    const clientId = this.#isOwn(item.client_id) ? item.client_id! : null;
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
