/** Listeners and state that views follow. A listener that throws harms nobody else: its error is reported. */

import type { Observable, Off } from "./types.js";

export function report(error: unknown): void {
  (globalThis.reportError ?? console.error)(error);
}

/** Call a function that is not ours, or one of several of which each has to be called. */
export function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    report(error);
  }
}

/** A promise whose rejection need not be caught: the failure shows elsewhere, too. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/**
 * An object that is replaced as a whole, and only when something in it has changed. Its keys can be read from the store
 * itself: an interface with the name of the class declares them. A change is an event without a name; subclasses have
 * others.
 */
export class Store<T extends object> implements Observable<T> {
  /** Listeners by the type of what they listen to. */
  #types: Record<string, Set<(event: any) => void>> = {};
  #value: T;
  /** @internal Vue makes no proxy of it: a proxy has no private fields. */
  readonly __v_skip = true;

  constructor(value: T) {
    this.#value = value;
    for (const key in value) Object.defineProperty(this, key, { get: () => this.#value[key] });
  }

  // Bound, because pages hand it on.
  readonly on = (type: string, listener: (event: any) => void): Off => {
    // A function of its own, so that adding one twice calls it twice and `off` removes one of them.
    const own: typeof listener = listener.bind(null);
    const all = (this.#types[type] ??= new Set());
    all.add(own);
    return () => void all.delete(own);
  };

  /** @internal */
  emit(type: string, event?: unknown): void {
    // A copy: a listener may add others.
    for (const listener of new Set(this.#types[type])) attempt(() => listener(event));
  }

  // Bound, because views hand these two functions on.
  readonly subscribe: (listener: () => void) => Off = this.on.bind(null, "");
  readonly getSnapshot = (): T => this.#value;

  /** @internal */
  update(changes: Partial<T>): void {
    const keys = Object.keys(changes) as (keyof T)[];
    if (keys.some((key) => this.#value[key] !== changes[key])) {
      this.#value = { ...this.#value, ...changes };
      this.emit("");
    }
  }
}
