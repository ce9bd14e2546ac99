/** Something that several places of a page use, and that ends a moment after the last of them has let go. */

import { Store } from "./events.js";
import type { Loader } from "./loader.js";
import type { Off } from "./types.js";

/** Long enough for a view that is replaced by another one, or mounted twice, to go on with what it had. */
const LINGER_MS = 1_000;

export abstract class Retained<T extends object> extends Store<T> {
  #count = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** @internal Whether somebody uses it, or did a moment ago: until it ends, it is kept up to date. */
  declare isHeld: boolean | undefined;

  /** @internal See `Part`. */
  declare readonly loader?: Loader;

  protected abstract begin(): void;
  protected finish?(): void;

  join(): Off {
    clearTimeout(this.#timer);
    this.#count++;
    if (!this.isHeld) {
      this.isHeld = true;
      this.begin();
    }
    let isLeft: boolean | undefined;
    return () => {
      if (!isLeft) this.leave();
      isLeft = true;
    };
  }

  leave(): void {
    if (this.#count && !--this.#count) this.#timer = setTimeout(() => {
      this.isHeld = false;
      this.loader?.stop();
      this.finish?.();
    }, LINGER_MS);
  }
}
