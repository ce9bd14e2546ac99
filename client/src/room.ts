/** A room as a page shows it: its messages, who is typing, and what is unread. */

import { Store } from "./events.js";
import type { Chat, ConnectedData, HistoryItem, Kind, Read } from "./frames.js";
import type { Hub, Part } from "./hub.js";
import { Loader } from "./loader.js";
import { MessageList } from "./messages.js";
import type { RealtimeError } from "./errors.js";
import { Retained } from "./retained.js";
import type * as types from "./types.js";
import { TypingUsers } from "./typing.js";

const PAGE = 50;

const EMPTY: types.RoomSnapshot = {
  status: "idle",
  title: "",
  role: null,
  messages: [],
  hasOlder: false,
  loading: false,
  typingUsers: [],
  lastReadSeq: null,
  unread: null,
  error: null,
};

/** What the snapshot has can be read from the room as well. */
export interface Room extends types.RoomSnapshot {}

export class Room extends Store<types.RoomSnapshot> implements types.Room, Part {
  readonly id: string;
  #hub: Hub;
  #stream: string;
  #list: MessageList;
  #typing: TypingUsers;
  #retained = new Retained(
    () => this.#enter(),
    () => this.#exit(),
  );
  #history = new Loader(this, (isCurrent) => this.#load(isCurrent));
  /** The last position of the room's stream that is known. */
  #seq = 0;
  /** What is known may be wrong from anywhere on, so nothing of it is kept when the history is loaded. */
  #wrong = false;
  /** How many messages are kept; grows with what the reader has asked for. */
  #most: number;

  constructor(hub: Hub, id: string) {
    super(EMPTY);
    this.id = id;
    this.#hub = hub;
    this.#stream = `room.${id}`;
    this.#most = hub.messagesPerRoom;
    this.#list = new MessageList((clientId) => hub.outbox.isOwn(clientId));
    this.#typing = new TypingUsers(hub, id, (typingUsers) => this.update({ typingUsers }));
  }

  join(): types.Off {
    return this.#retained.retain();
  }

  leave(): void {
    this.#retained.release();
  }

  get #address(): string {
    return `/rooms/${encodeURIComponent(this.id)}`;
  }

  // Messages

  send(text: string, kind: Kind = "text"): Promise<types.Answer> {
    const clientId = this.#hub.outbox.makeId();
    this.#list.addDraft(clientId, text, kind, this.#hub.user);
    this.typing(false);
    return this.#transmit(clientId, text, kind);
  }

  retry(clientId: string): Promise<types.Answer> {
    const draft = this.#list.draft(clientId);
    if (draft?.status !== "failed") return Promise.reject(new TypeError("It has not failed."));
    this.#list.setStatus(clientId, "sending");
    return this.#transmit(clientId, draft.text, draft.kind);
  }

  discard(clientId: string): void {
    if (this.#list.draft(clientId)?.status === "failed") this.#list.discard(clientId);
    this.#show();
  }

  #transmit(clientId: string, text: string, kind: Kind): Promise<types.Answer> {
    this.#show();
    const command = { type: "message", room_id: this.id, message: text, ...(kind !== "text" && { kind }) };
    const answer = this.#hub.send(command, clientId);
    answer.then(
      ({ message_id, seq }) => this.#list.confirm(clientId, message_id, seq),
      (error: Error) => this.#list.setStatus(clientId, "failed", error),
    ).finally(() => this.#show());
    return answer;
  }

  loadOlder(): Promise<void> {
    return this.#history.runMore(async () => {
      const before = this.#list.oldestSeq;
      if (!this.hasOlder || !before) return;
      const page = await this.#hub.rest("GET", `${this.#address}/messages?limit=${PAGE}&before=${before}`);
      // Another page of the newest messages, or another user, has taken the place of what this one would continue.
      if (this.#list.oldestSeq !== before) return;
      this.#list.add(page.messages, this.#hub.user);
      this.#most = Math.max(this.#most, this.#list.size);
      this.#show({ hasOlder: page.next_before !== null });
    });
  }

  // Typing and reading

  typing(isTyping = true): void {
    this.#typing.say(isTyping);
  }

  markRead(seq = Math.max(this.#seq, this.#list.newestSeq)): void {
    if (seq <= (this.lastReadSeq ?? 0)) return;
    this.#setRead(seq);
    void this.#hub.send({ type: "read", room_id: this.id, seq });
  }

  #setRead(lastReadSeq: number): void {
    this.update({ lastReadSeq, unread: Math.max(0, Math.max(this.#seq, this.#list.newestSeq) - lastReadSeq) });
  }

  // What the client tells

  ready({ streams }: ConnectedData): void {
    const isLost = this.status === "idle" || (this.status === "joined" && !(this.#stream in streams));
    if (isLost && this.#retained.held) void this.#enter();
    else if (this.error) void this.#history.run();
  }

  reset(): void {
    this.#history.stop();
    this.#typing.clear();
    this.#list.clear();
    this.#seq = 0;
    this.update(EMPTY);
  }

  frame(frame: types.Answer): void {
    if (frame["stream"] === this.#stream && frame["seq"]) this.#seq = frame["seq"];
    else if ((frame["data"]?.context ?? frame["data"]?.room_id ?? frame["room_id"]) !== this.id) return;
    this.#apply(frame);
    this.emit(frame.type, frame);
  }

  #apply(frame: types.Answer): void {
    if (frame.type === "chat") this.#addChat(frame as unknown as Chat);
    else if (frame.type === "typing") this.#typing.note(frame["data"].user_id, frame["data"].is_typing);
    else if (frame.type === "read") this.#noteRead((frame as unknown as Read).data);
    else if (frame.type === "room_updated") this.update({ title: frame["title"] });
    else if (frame.type === "left" && frame["reason"]) this.update({ status: "gone" });
    else if (frame.type === "gap") this.#loadAgain(frame["fetch"]);
    if (frame.stream && this.lastReadSeq !== null) this.#setRead(this.lastReadSeq);
  }

  #addChat({ data, seq }: Chat): void {
    if (data.from_user_id !== null) this.#typing.note(data.from_user_id, false);
    this.#list.add([{ ...data, seq }], this.#hub.user);
    const trimmed = this.#list.trim(this.#most);
    this.#show(trimmed ? { hasOlder: true } : {});
  }

  #noteRead({ seq = 0 }: Read["data"]): void {
    if (seq > (this.lastReadSeq ?? 0)) this.#setRead(seq);
  }

  #loadAgain(fetch: string | null): void {
    // Without `after`, the messages that are known may no longer exist.
    this.#wrong ||= !fetch?.includes("after=");
    void this.#history.run();
  }

  // Joining

  async #enter(): Promise<void> {
    this.update({ status: "joining", error: null });
    try {
      const { title, role, seq } = await this.#hub.send({ type: "join", room_id: this.id });
      if (!this.#retained.held) return;
      this.#seq = Math.max(this.#seq, seq);
      this.update({ status: "joined", title, role });
      await this.#history.run();
    } catch (error) {
      const { code } = error as RealtimeError;
      if (code === "NOT_FOUND" || code === "FORBIDDEN") this.update({ status: "gone", error: error as Error });
      else if (this.#retained.held) this.update({ status: "idle", error: error as Error });
    }
  }

  #exit(): void {
    this.#history.stop();
    this.#typing.say(false);
    this.#typing.clear();
    if (this.status !== "gone") void this.#hub.send({ type: "leave", room_id: this.id });
    this.update({ status: "idle" });
  }

  async #load(isCurrent: () => boolean): Promise<void> {
    const { rest, user } = this.#hub;
    const address = this.#address;
    const [room, page] = await Promise.all([
      rest("GET", address),
      rest<{ messages: HistoryItem[]; next_before: number | null }>("GET", `${address}/messages?limit=${PAGE}`),
    ]);
    if (!isCurrent()) return;
    if (this.#wrong) this.#list.forgetStored();
    this.#wrong = false;
    const begins = this.#list.replace(page.messages, user);
    this.#seq = Math.max(this.#seq, room.last_seq);
    if (room.last_read_seq !== null) this.#setRead(Math.max(room.last_read_seq, (this.lastReadSeq ?? 0)));
    this.#show(begins ? { hasOlder: page.next_before !== null } : {});
  }

  #show(changes: Partial<types.RoomSnapshot> = {}): void {
    this.update({ ...changes, messages: this.#list.all });
  }
}
