/** Which events a socket has had (pure): the positions of its streams, what to resume, and what comes twice. */

import type { Resumed, StreamOutcome } from "./frames.js";
import type { Answer, Gap } from "./types.js";

/** The command, and its id: one of its answers may be the last for several. */
export const RESUME = "resume";
const MOST_IN_ONE_RESUME = 250;

export type Positions = Record<string, number>;

export function makeGap(stream: string, seq: number, fetch: string | null = null): Gap & Answer {
  return { type: "gap", stream, seq, fetch };
}

export class Streams {
  /** By stream, the last event that was seen. */
  positions: Positions = {};
  /** Their replay is not finished: live events of them may come too early. */
  #resuming = new Set<string>();

  /** A new socket has begun, which listens to `streams`. Returns the `streams` of each `resume` that it has to send. */
  begin(streams: Positions): Positions[] {
    const known = Object.entries(this.positions);
    this.positions = { ...streams, ...this.positions };
    this.#resuming = new Set(known.map(([name]) => name));
    const parts: Positions[] = [];
    while (known.length) parts.push(Object.fromEntries(known.splice(0, MOST_IN_ONE_RESUME)));
    return parts;
  }

  /** Streams that somebody has had up to there are replayed. */
  resume(positions: Positions): void {
    Object.assign(this.positions, positions);
    for (const name in positions) this.#resuming.add(name);
  }

  forgetStream(name: string): void {
    delete this.positions[name];
    this.#resuming.delete(name);
  }

  clear(): void {
    this.positions = {};
    this.#resuming.clear();
  }

  /** Whether an event is new. A hole also means that something was missed. */
  accept(stream: string, seq: number): "new" | "old" | "hole" {
    const last = this.positions[stream] ?? seq - 1;
    const early = seq > last + 1;
    if (seq <= last || (early && this.#resuming.has(stream))) return "old";
    if (stream in this.positions) this.positions[stream] = seq;
    return early ? "hole" : "new";
  }

  /** Read what a frame says about streams. Returns what was missed and cannot be replayed. */
  note(frame: Answer): Gap[] {
    const { type, topic, room_id } = frame as { [key: string]: any };
    const name = topic ? `topic.${topic}` : `room.${room_id}`;
    if (type === "left" || type === "unsubscribed") this.forgetStream(name);
    // What is listened to already goes on, or is replayed, from where it was.
    if (type === "joined" || (type === "subscribed" && frame.seq)) this.positions[name] ??= frame.seq;
    if (type !== "resumed") return [];
    return Object.entries((frame as unknown as Resumed).streams).flatMap((outcome) => this.#finish(...outcome));
  }

  #finish(name: string, { recovered, seq, fetch }: StreamOutcome): Gap[] {
    this.#resuming.delete(name);
    // A shared socket has streams of other tabs, too.
    if (recovered || !(name in this.positions)) return [];
    this.positions[name] = seq;
    return [makeGap(name, seq, fetch)];
  }
}
