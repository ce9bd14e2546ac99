/** Which events a socket has had (pure): the positions of its streams, what to resume, and what comes twice. */

import type { StreamOutcome } from "./frames.js";
import type { Answer } from "./types.js";

/** The command, and its id: one of its answers may be the last for several. */
export const RESUME = "resume";

export type Positions = Record<string, number>;

export class Streams {
  /** By stream, the last event that was seen. */
  positions: Positions = {};
  /** Their replay is not finished: live events of them may come too early. */
  resuming = new Set<string>();

  /** A new socket has begun, which listens to `streams`. Returns what it has to resume. */
  begin(streams: Positions): Positions {
    const known = this.positions;
    this.resuming = new Set(Object.keys(known));
    this.positions = { ...streams, ...known };
    return known;
  }

  forgetStream(name: string): void {
    delete this.positions[name];
    this.resuming.delete(name);
  }

  /** What to hand on of a frame: nothing of an event that has come before, and a `gap` where something was missed. */
  admit(frame: Answer): Answer[] {
    const { type, stream, seq, topic, room_id, streams } = frame;
    if (stream && seq) {
      const last = this.positions[stream] ?? seq - 1;
      const early = seq > last + 1;
      if (seq <= last || (early && this.resuming.has(stream))) return [];
      if (stream in this.positions) this.positions[stream] = seq;
      return early ? [frame, { type: "gap", stream, seq, fetch: null }] : [frame];
    }
    const name = topic ? `topic.${topic}` : `room.${room_id}`;
    if (type === "left" || type === "unsubscribed") this.forgetStream(name);
    // What is listened to already goes on, or is replayed, from where it was.
    if (type === "joined" || (type === "subscribed" && seq)) this.positions[name] ??= seq;
    if (type !== "resumed") return [frame];
    return [frame, ...Object.entries<StreamOutcome>(streams).flatMap((outcome) => this.#finish(...outcome))];
  }

  #finish(stream: string, { recovered, seq, fetch }: StreamOutcome): Answer[] {
    this.resuming.delete(stream);
    // A shared socket has streams of other tabs, too.
    if (recovered || !(stream in this.positions)) return [];
    this.positions[stream] = seq;
    return [{ type: "gap", stream, seq, fetch: fetch ?? null }];
  }
}
