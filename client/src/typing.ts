/** Who is typing in a room, and when to say that this user is. */

import { Deadlines } from "./deadlines.js";
import type { UserId } from "./frames.js";
import type { Hub } from "./hub.js";

const DEFAULT_SECONDS = 10;

/** The deadline of each user ends what the server was not able to end. */
export class TypingUsers extends Deadlines<UserId> {
  #hub: Hub;
  #room: string;
  #onChange: (users: UserId[]) => void;
  #sentAt = 0;

  constructor(hub: Hub, room: string, onChange: (users: UserId[]) => void) {
    super();
    this.#hub = hub;
    this.#room = room;
    this.#onChange = onChange;
  }

  get #ms(): number {
    return 1000 * (this.#hub.greeting?.typing_seconds ?? DEFAULT_SECONDS);
  }

  /** The server ends it by itself when it hears nothing for a time, so it is repeated after half of that. */
  say(isTyping: boolean): void {
    const due = isTyping ? Date.now() >= this.#sentAt + this.#ms / 2 : this.#sentAt;
    if (!due) return;
    this.#sentAt = isTyping ? Date.now() : 0;
    this.#hub.sendNow({ type: "typing", data: { is_typing: isTyping, context: this.#room } });
  }

  note(user: UserId, isTyping: boolean): void {
    const known = this.has(user);
    if (isTyping) this.plan(user, 1.5 * this.#ms, () => this.#tell());
    else this.cancel(user);
    if (known !== isTyping) this.#tell();
  }

  override clear(): void {
    this.#sentAt = 0;
    for (const user of this.keys()) this.note(user, false);
  }

  #tell(): void {
    this.#onChange([...this.keys()]);
  }
}
