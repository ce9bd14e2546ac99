/** Loads something over REST: once at a time, again if that was asked for meanwhile, and again after a failure. */

import { Deadlines } from "./deadlines.js";
import type { RealtimeError } from "./errors.js";
import type { Store } from "./events.js";
import { choosePause, isPassing } from "./verdict.js";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** `isCurrent` says after each wait whether the result is still wanted. */
type Load = (isCurrent: () => boolean) => Promise<void>;

export interface Loading {
  readonly loading: boolean;
  readonly error: Error | null;
}

export class Loader extends Deadlines<"again"> {
  #store: Store<Loading>;
  #load: Load;
  #running: Promise<void> | undefined;
  #again: boolean | undefined;
  #failures = 0;
  /** A list, and what follows it, may be under way at the same time. */
  #underWay = 0;
  /** Counts what was stopped, so that a late answer of it changes nothing. */
  #round = 0;

  /** Whether it is under way, and the error of the last time, are told in `store`. */
  constructor(store: Store<any>, load: Load) {
    super();
    this.#store = store;
    this.#load = load;
  }

  /** Never rejects: the error is in the store. */
  runNow(): Promise<void> {
    this.cancel("again");
    this.#again = true;
    return (this.#running ??= this.#repeat(this.#mark()));
  }

  runAfter(ms: number): void {
    this.plan("again", ms, () => this.runNow());
  }

  /** What it loads has failed, here or elsewhere: run once more after a pause, if the failure is passing. */
  runAgain(error: RealtimeError | null): void {
    if (isPassing(error?.cause as string))
      this.runAfter(error!.retryAfterMs || choosePause(this.#failures++, FIRST_PAUSE_MS, LONGEST_PAUSE_MS));
    else this.#failures = 0;
  }

  /** Load what follows, unless something is being loaded already. */
  async runMore(load: Load): Promise<void> {
    if (!this.#underWay) await this.#tell(load, this.#mark());
  }

  stop(): void {
    this.#failures = this.#underWay = 0;
    this.cancel("again");
    this.#round++;
    this.#running = undefined;
    this.#store.update({ loading: false });
  }

  /** What begins now is wanted until `stop`. */
  #mark(): () => boolean {
    const round = this.#round;
    return () => round === this.#round;
  }

  async #repeat(isCurrent: () => boolean): Promise<void> {
    do {
      this.#again = false;
      const error = await this.#tell(this.#load, isCurrent);
      if (!isCurrent()) return;
      this.runAgain(error);
    } while (this.#again);
    this.#running = undefined;
  }

  /** Returns the error, if there was one. */
  async #tell(load: Load, isCurrent: () => boolean): Promise<RealtimeError | null> {
    this.#store.update({ loading: !!++this.#underWay });
    const error = await load(isCurrent).then(
      () => null,
      (reason: RealtimeError) => reason,
    );
    if (isCurrent()) this.#store.update({ loading: !!--this.#underWay, error });
    return error;
  }
}
