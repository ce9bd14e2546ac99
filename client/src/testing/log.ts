/** The streams of the fake server: numbered events, as the server's log has them. Used by `server` and `commands`. */

import type { StreamOutcome } from "../frames.js";

export interface StoredEvent {
  type: string;
  stream: string;
  seq: number;
  [key: string]: unknown;
}

interface Stream {
  last: number;
  /** Events up to this one are no longer in the log. */
  forgotten: number;
  events: StoredEvent[];
}

export class FakeLog {
  private readonly streams = new Map<string, Stream>();

  /** The `seq` of the last event; 0 if there is none. */
  position(stream: string): number {
    return this.find(stream).last;
  }

  add(stream: string, frame: { type: string; [key: string]: unknown }): StoredEvent {
    const found = this.find(stream);
    found.last += 1;
    const event = { ...frame, stream, seq: found.last };
    found.events.push(event);
    return event;
  }

  events(stream: string): readonly StoredEvent[] {
    return this.find(stream).events;
  }

  /** Positions of a stream from before cannot be resumed any more. Messages stay: the history has them. */
  forget(stream: string): void {
    const found = this.find(stream);
    found.forgotten = found.last;
  }

  /** What follows a position, or the outcome `recovered: false` if that is not known any more. */
  replay(stream: string, since: number, fetch?: string): { events: readonly StoredEvent[]; outcome: StreamOutcome } {
    const { last, forgotten, events } = this.find(stream);
    if (since > last || since < forgotten)
      return { events: [], outcome: { recovered: false, seq: last, ...(fetch ? { fetch } : {}) } };
    return { events: events.filter(({ seq }) => seq > since), outcome: { recovered: true, seq: last } };
  }

  private find(name: string): Stream {
    let stream = this.streams.get(name);
    if (!stream) this.streams.set(name, (stream = { last: 0, forgotten: 0, events: [] }));
    return stream;
  }
}
