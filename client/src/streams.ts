/** Which events a socket has had (pure): the positions of its streams, what to resume, and what comes twice. */

import type { ConnectedData, Resumed, StreamOutcome } from "./frames.js";
import type { Answer, Gap } from "./types.js";

const MOST_IN_ONE_RESUME = 250;

export type Positions = Record<string, number>;

export class Streams {
  positions: Positions = {};
  /** Those that `subscribe` has named. Most have no events, so a new socket must subscribe to them again. */
  topics = new Set<string>();
  /** Their replay is not finished: live events of them may come too early. */
  #resuming = new Set<string>();

  /** A new socket has begun. Returns the `streams` of each `resume` that it has to send. */
  begin({ streams }: ConnectedData): Positions[] {
    const known = Object.entries(this.positions);
    this.positions = { ...streams, ...this.positions };
    this.#resuming = new Set(known.map(([name]) => name));
    const parts: Positions[] = [];
    for (let at = 0; at < known.length; at += MOST_IN_ONE_RESUME)
      parts.push(Object.fromEntries(known.slice(at, at + MOST_IN_ONE_RESUME)));
    return parts;
  }

  /** The present positions of some streams, to resume them once more. */
  pick(names: Iterable<string>): Positions {
    const known = [...names].filter((name) => name in this.positions);
    return Object.fromEntries(known.map((name) => [name, this.positions[name]!]));
  }

  /** Streams of somebody who has had their events up to there. Returns those that are new here. */
  adopt(positions: Positions): Positions {
    const added = Object.fromEntries(Object.entries(positions).filter(([name]) => !(name in this.positions)));
    Object.assign(this.positions, added);
    for (const name of Object.keys(added)) this.#resuming.add(name);
    return added;
  }

  forget(name: string): void {
    delete this.positions[name];
    this.#resuming.delete(name);
  }

  clear(): void {
    this.positions = {};
    this.topics.clear();
    this.#resuming.clear();
  }

  /** Whether an event is new. A hole also means that something was missed: see `gap`. */
  accept(stream: string, seq: number): "new" | "old" | "hole" {
    const last = this.positions[stream];
    if (last === undefined) return "new";
    if (seq <= last || (seq > last + 1 && this.#resuming.has(stream))) return "old";
    this.positions[stream] = seq;
    return seq > last + 1 ? "hole" : "new";
  }

  /** Read what a frame says about streams. Returns what was missed and cannot be replayed. */
  note(frame: Answer): Gap[] {
    const { type } = frame;
    if (type === "joined") return this.#start(`room.${frame["room_id"]}`, frame);
    if (type === "left") this.forget(`room.${frame["room_id"]}`);
    if (type === "subscribed") {
      this.topics.add(frame["topic"]);
      return frame["seq"] ? this.#start(`topic.${frame["topic"]}`, frame) : [];
    }
    if (type === "unsubscribed") {
      this.topics.delete(frame["topic"]);
      this.forget(`topic.${frame["topic"]}`);
    }
    if (type !== "resumed") return [];
    const outcomes = Object.entries((frame as unknown as Resumed).streams);
    return outcomes.flatMap(([name, outcome]) => this.#finish(name, outcome));
  }

  #start(name: string, { recovered, seq, fetch }: Answer): Gap[] {
    // What we listen to already goes on, or is replayed, from where we were.
    if (recovered !== false && name in this.positions) return [];
    this.positions[name] = seq;
    return recovered === false ? [makeGap(name, seq, fetch)] : [];
  }

  #finish(name: string, { recovered, seq, fetch }: StreamOutcome): Gap[] {
    this.#resuming.delete(name);
    if (recovered) return [];
    this.positions[name] = seq;
    return [makeGap(name, seq, fetch)];
  }
}

export function makeGap(stream: string, seq: number, fetch?: string): Gap {
  return { type: "gap", stream, seq, fetch: fetch ?? null };
}
