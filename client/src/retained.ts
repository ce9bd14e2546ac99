/** Something that several places of a page use, and that ends a moment after the last of them has let go. */

import { Store } from "./events.js";
import type { Off } from "./types.js";

/** Long enough for a view that is replaced by another one, or mounted twice, to go on with what it had. */
const LINGER_MS = 1_000;

export abstract class Retained<T extends object> extends Store<T> {
  #count = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  protected abstract begin(): void;
  protected abstract finish(): void;

  /** Whether somebody uses it now. */
  get isHeld(): boolean {
    return this.#count > 0;
  }

  join(): Off {
    clearTimeout(this.#timer);
    if (!this.#count++ && !this.#timer) this.begin();
    this.#timer = undefined;
    let held = true;
    return () => {
      if (held) this.leave();
      held = false;
    };
  }

  leave(): void {
    if (!this.#count || --this.#count) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.finish();
    }, LINGER_MS);
  }
}
