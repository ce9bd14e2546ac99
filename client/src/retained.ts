/** Something that several places of a page use, and that ends a moment after the last of them has let go. */

import type { Off } from "./types.js";

/** Long enough for a view that is replaced by another one, or mounted twice, to go on with what it had. */
const LINGER_MS = 1_000;

export class Retained {
  #count = 0;
  #begin: () => void;
  #end: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(begin: () => void, end: () => void) {
    this.#begin = begin;
    this.#end = end;
  }

  /** Whether somebody uses it now. */
  get held(): boolean {
    return this.#count > 0;
  }

  retain(): Off {
    const lingers = this.#timer !== undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#count++ && !lingers) this.#begin();
    let held = true;
    return () => {
      if (held) this.release();
      held = false;
    };
  }

  release(): void {
    if (!this.#count || --this.#count) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#end();
    }, LINGER_MS);
  }
}
