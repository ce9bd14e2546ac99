/** What is told about a connection: one that is lost for a moment still counts as online, so that nothing flickers. */

import { Deadlines } from "./deadlines.js";
import { IDLE } from "./link.js";
import type { State } from "./types.js";

export class StatusReport {
  /** What is true, and what was told last. */
  state = IDLE;
  #told = IDLE;
  #graceMs: number;
  #tell: (state: State) => void;
  #deadlines = new Deadlines({ grace: () => this.#show() });

  constructor(graceMs: number, tell: (state: State) => void) {
    this.#graceMs = graceMs;
    this.#tell = tell;
  }

  change(changes: Partial<State>): void {
    this.state = { ...this.state, ...changes };
    const passes = ["connecting", "waiting", "offline"].includes(this.state.status);
    if (!passes || this.#told.status !== "online") this.#show();
    else if (!this.#deadlines.has("grace")) this.#deadlines.set("grace", this.#graceMs);
  }

  check(): void {
    this.#deadlines.check();
  }

  #show(): void {
    this.#deadlines.clear();
    this.#told = this.state;
    this.#tell(this.#told);
  }
}
