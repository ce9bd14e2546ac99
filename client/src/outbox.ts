/** The commands of one page that have no answer yet. Each is a promise that settles once, whatever happens. */

import { RealtimeError } from "./errors.js";
import { quiet } from "./events.js";
import type { Answer, Command, FailureCode } from "./types.js";
import { isPassing } from "./verdict.js";

const AGAIN_MS = 2_000;

interface Entry {
  /** The command as it is sent. */
  text: string;
  fulfil(answer: Answer): void;
  decline(error: RealtimeError): void;
}

/** Half of a character, with which a cut text may end, is no JSON: the server could not even read the `id`. */
export function encode(command: Command): string {
  return JSON.stringify(command, (_, value) => value?.toWellFormed?.() ?? value);
}

/** By id, in the order of sending. */
export class Outbox extends Map<string, Entry> {
  /** Greatest size of a frame, as the server has said; undefined before the first socket, when nothing goes out. */
  #maxBytes!: number;
  #transmit: (text: string) => void;
  #limit: number;
  /** The ids of two pages must differ. */
  #page = `${Math.random()}-`;
  #count = 0;

  constructor(transmit: (text: string) => void, limit: number) {
    super();
    this.#transmit = transmit;
    this.#limit = limit;
  }

  makeId(): string {
    return this.#page + ++this.#count;
  }

  isOwn(id: string | null | undefined): boolean | undefined {
    return id?.startsWith(this.#page);
  }

  /** `id` is that of an earlier try of the same command. `refusal` says why nothing can be sent now. */
  send(command: Command, id = this.makeId(), refusal?: FailureCode): Promise<Answer> {
    const text = encode({ ...command, id });
    const promise = new Promise<Answer>((fulfil, decline) => {
      this.set(id, { text, fulfil, decline });
      this.#post(id, refusal ?? (this.size > this.#limit && "QUEUE_FULL"));
    });
    return quiet(promise);
  }

  /** A socket is open: everything again, in its order. What the server has had already is not carried out twice. */
  flush(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    for (const id of this.keys()) this.#post(id);
  }

  rejectAll(code: FailureCode): void {
    for (const id of this.keys()) this.#post(id, code);
  }

  #post(id: string, refusal?: FailureCode | false): void {
    const { text } = this.get(id)!;
    // The server closes the socket for a frame that is too large, and would do so again after each reconnect.
    refusal ||= new Blob([text]).size > this.#maxBytes && "TOO_LARGE";
    if (refusal) this.conclude({ type: "error", id, error_code: refusal });
    else this.#transmit(text);
  }

  /** Settle the command that a frame answers. */
  conclude(frame: Answer): void {
    const { type, id, error_code: code, message, retry_after_ms: after } = frame;
    const entry = this.get(id!);
    if (!entry) return;
    if (isPassing(code))
      return void setTimeout(() => this.get(id!) === entry && this.#transmit(entry.text), after ?? AGAIN_MS);
    this.delete(id!);
    if (type === "error") entry.decline(new RealtimeError(code, message));
    else entry.fulfil(frame);
  }
}
