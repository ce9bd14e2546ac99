/** Loads something over REST: once at a time, again if that was asked for meanwhile, and again after a failure. */

import type { RealtimeError } from "./errors.js";
import { choosePause } from "./verdict.js";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
const PASSING = /^(NETWORK|RATE_LIMITED|UNAVAILABLE|HTTP_5\d\d)$/;

/** `isCurrent` says after each wait whether the result is still wanted. */
type Load = (isCurrent: () => boolean) => Promise<void>;

export class Loader {
  #load: Load;
  #onError: (error: Error) => void;
  #running: Promise<void> | undefined;
  #again = false;
  #failures = 0;
  /** Counts what was stopped, so that a late answer of it changes nothing. */
  #round = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(load: Load, onError: (error: Error) => void) {
    this.#load = load;
    this.#onError = onError;
  }

  /** Never rejects: the error is given to `onError`. */
  run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#again = true;
    return (this.#running ??= this.#repeat(this.#round));
  }

  runAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.run(), ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#round++;
    this.#failures = 0;
    this.#running = undefined;
  }

  async #repeat(round: number): Promise<void> {
    const isCurrent = (): boolean => round === this.#round;
    while (isCurrent() && this.#again) {
      this.#again = false;
      try {
        await this.#load(isCurrent);
        if (isCurrent()) this.#failures = 0;
      } catch (error) {
        if (isCurrent()) this.#fail(error as RealtimeError);
      }
    }
    if (isCurrent()) this.#running = undefined;
  }

  #fail(error: RealtimeError): void {
    this.#onError(error);
    if (PASSING.test(error.code))
      this.runAfter(error.retryAfterMs || choosePause(this.#failures++, FIRST_PAUSE_MS, LONGEST_PAUSE_MS));
  }
}
