/** A room as a page shows it: its messages, who is typing, and what is unread. */

import { quiet } from "./events.js";
import type { ConnectedData, HistoryItem, Kind } from "./frames.js";
import type { Hub, Part } from "./hub.js";
import { Loader } from "./loader.js";
import { MessageList } from "./messages.js";
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

interface RoomAnswer {
  title: string;
  role: types.RoomSnapshot["role"];
  last_read_seq: number | null;
}

interface Page {
  messages: HistoryItem[];
  next_before: number | null;
}

/** What the snapshot has can be read from the room as well. */
export interface Room extends types.RoomSnapshot {}

export class Room extends Retained<types.RoomSnapshot> implements types.Room, Part {
  declare readonly id: string;
  #hub: Hub;
  #list: MessageList;
  override readonly loader = new Loader(this, (isCurrent) => this.#load(isCurrent));
  #stream: string;
  #typing: TypingUsers;
  /** The last position of the room's stream that is known. */
  #seq = 0;
  /** While the history is loaded, and until that succeeds: the position up to which nothing is missing in the list. */
  #complete: number | undefined;
  /** How many messages are kept; grows with what the reader has asked for. */
  #most: number;

  constructor(hub: Hub, id: string) {
    super(EMPTY);
    this.id = id;
    this.#hub = hub;
    this.#stream = `room.${id}`;
    this.#most = hub.limits.messagesPerRoom;
    this.#list = new MessageList(hub);
    this.#typing = new TypingUsers(hub, id, (typingUsers) => this.update({ typingUsers }));
  }

  // Messages

  send(text: string, kind: Kind = "text"): Promise<types.Answer> {
    const clientId = this.#hub.outbox.makeId();
    this.#list.addDraft(clientId, text, kind);
    this.typing(false);
    return this.#transmit(clientId, text, kind);
  }

  retry(clientId: string | null): Promise<types.Answer> {
    const draft = this.#list.draft(clientId!);
    if (!draft?.error) return quiet(Promise.reject(new TypeError("Not failed")));
    this.#list.revise(clientId!, { status: "sending" });
    return this.#transmit(clientId!, draft.text, draft.kind);
  }

  discard(clientId: string | null): void {
    if (this.#list.get(clientId!)?.error) this.#list.delete(clientId!);
    this.#show();
  }

  #transmit(clientId: string, text: string, kind: Kind): Promise<types.Answer> {
    this.#show();
    const command = { type: "message", room_id: this.id, message: text, kind };
    const answer = this.#hub.send(command, clientId);
    answer.then(
      ({ message_id: id, seq }) => this.#list.revise(clientId, { id, seq, status: "stored" }),
      (error: Error) => this.#list.revise(clientId, { error, status: "failed" }),
    ).finally(() => this.#show());
    return answer;
  }

  loadOlder(): Promise<void> {
    return this.loader.runMore(async (isCurrent) => {
      const [before] = this.#list.seqs;
      if (!this.hasOlder || !before) return;
      const page = await this.#get<Page>(`/messages?limit=${PAGE}&before=${before}`);
      // Another page of the newest messages has taken the place of what this one would continue.
      if (isCurrent() && this.#list.seqs[0] === before) {
        this.#list.add(page.messages);
        this.#most = Math.max(this.#most, this.#list.seqs.length);
        this.#show({ hasOlder: !!page.next_before });
      }
    });
  }

  reload(): Promise<void> {
    return /idle|gone/.test(this.status) && this.isHeld ? this.begin() : this.loader.runNow();
  }

  // Typing and reading

  typing(isTyping = true): void {
    this.#typing.say(isTyping);
  }

  markRead(seq = this.#newestSeq): void {
    if (seq > this.lastReadSeq!) {
      this.#setRead(seq);
      // If it is refused, nobody knows the position until it is looked up.
      this.#hub.send({ type: "read", room_id: this.id, seq }).catch(() => this.update({ lastReadSeq: null, unread: null }));
    }
  }

  /** The user has read up to there, or further. In a comparison of numbers, null is 0. */
  #setRead(seq: number | null): void {
    if (seq === null) return;
    const lastReadSeq = Math.max(seq, this.lastReadSeq!);
    this.update({ lastReadSeq, unread: Math.max(this.#newestSeq - lastReadSeq, 0) });
  }

  get #newestSeq(): number {
    return Math.max(this.#seq, this.#list.seqs.at(-1) ?? 0);
  }

  // What the client tells

  ready({ streams }: ConnectedData): void {
    if (!this.isHeld) return;
    const isJoined = this.status === "joined";
    if (isJoined ? !(this.#stream in streams) : this.status === "idle") void this.begin();
    // What no event says is looked up.
    else if (isJoined) void (this.error ? this.loader.runNow() : this.#get("").then(
      (room) => this.#follow(room),
      (error) => this.isHeld && this.loader.runAgain(error),
    ));
  }

  reset(): void {
    this.#typing.clear();
    this.#list.clear();
    this.#seq = 0;
    this.update(EMPTY);
  }

  takeFrame(frame: types.Answer): void {
    const { type, stream, seq, data, room_id } = frame;
    const isEvent = stream === this.#stream && seq;
    if (!isEvent && (data?.context ?? data?.room_id ?? room_id) !== this.id) return;
    this.#apply(frame);
    if (isEvent) {
      this.#seq = seq;
      this.#setRead(this.lastReadSeq);
    }
    this.emit(type, frame);
  }

  #apply({ type, seq, data, title, reason, fetch }: types.Answer): void {
    if (type === "chat") this.#add({ ...data, seq });
    else if (type === "typing") this.#typing.note(data.user_id, data.is_typing);
    else if (type === "read") this.#setRead(data.seq);
    else if (type === "room_updated") this.update({ title });
    else if (type === "left" && reason) this.update({ status: "gone" });
    else if (type === "gap") this.#loadAgain(fetch);
  }

  #add(item: HistoryItem): void {
    this.#typing.note(item.from_user_id!, false);
    this.#list.add([item]);
    this.#show(this.#list.trimTo(this.#most) && { hasOlder: true });
  }

  #loadAgain(fetch: string | null): void {
    // Without `after`, the messages that are known may no longer exist. What comes from now on is right.
    if (!/after=/.test(fetch!)) this.#list.trimTo(0);
    void this.loader.runNow();
  }

  // Joining

  protected override async begin(): Promise<void> {
    this.update({ status: "joining", error: null });
    try {
      const { title, role } = await this.#hub.send({ type: "join", room_id: this.id });
      if (!this.isHeld) return;
      this.update({ status: "joined", title, role });
      await this.loader.runNow();
    } catch (error: any) {
      const isGone = /NOT_FOUND|FORBIDDEN/.test(error.code);
      // Without a connection nothing has failed: the room is joined with the next one.
      this.update({ status: isGone ? "gone" : "idle", error: this.#hub.greeting ? error : null });
    }
  }

  protected override finish(): void {
    this.#typing.say(false);
    this.#typing.clear();
    if (this.status !== "gone") void this.#hub.send({ type: "leave", room_id: this.id });
    this.update({ status: "idle" });
  }

  async #load(isCurrent: () => boolean): Promise<void> {
    // Not what is the newest by the time that the answer comes: between the two, messages may have been missed.
    this.#complete ??= this.#seq;
    const [room, page] = await Promise.all([this.#get(""), this.#get<Page>(`/messages?limit=${PAGE}`)]);
    if (!isCurrent()) return;
    const begins = this.#list.takePage(page.messages, this.#complete);
    this.#complete = undefined;
    this.#seq = Math.max(this.#seq, room.last_seq);
    this.#follow(room);
    this.#show(begins && { hasOlder: !!page.next_before });
  }

  #follow({ title, role, last_read_seq }: RoomAnswer): void {
    this.update({ title, role });
    this.#setRead(last_read_seq);
  }

  #get<T = any>(path: string): Promise<T> {
    return this.#hub.rest("GET", `/rooms/${encodeURIComponent(this.id)}${path}`);
  }

  #show(changes?: Partial<types.RoomSnapshot> | false): void {
    this.update({ ...changes, messages: this.#list.sorted });
  }
}
