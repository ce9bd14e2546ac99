/** Listeners and state that views follow. A listener that throws harms nobody else: its error is reported. */

import type { Observable, Off } from "./types.js";

export function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}

export class Listeners<A extends unknown[]> {
  #all = new Set<(...args: A) => void>();

  add(listener: (...args: A) => void): Off {
    // An object of its own, so that adding a function twice calls it twice and `off` removes one of them.
    const own = (...args: A): void => listener(...args);
    this.#all.add(own);
    return () => void this.#all.delete(own);
  }

  call(...args: A): void {
    for (const listener of [...this.#all]) {
      try {
        listener(...args);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** Listeners by the type of what they listen to. */
export class Emitter {
  #types = new Map<string, Listeners<[any]>>();

  on(type: string, listener: (event: any) => void): Off {
    if (!this.#types.has(type)) this.#types.set(type, new Listeners());
    return this.#types.get(type)!.add(listener);
  }

  emit(type: string, event: unknown): void {
    this.#types.get(type)?.call(event);
  }
}

/** An object that is replaced as a whole, and only when something in it has changed. */
export class Store<T extends object> implements Observable<T> {
  #value: T;
  #listeners = new Listeners<[]>();

  constructor(value: T) {
    this.#value = value;
  }

  // Bound, because views hand these two functions on.
  readonly subscribe = (listener: () => void): Off => this.#listeners.add(listener);
  readonly getSnapshot = (): T => this.#value;

  update(changes: Partial<T>): void {
    const keys = Object.keys(changes) as (keyof T)[];
    if (keys.every((key) => Object.is(this.#value[key], changes[key]))) return;
    this.#value = { ...this.#value, ...changes };
    this.#listeners.call();
  }
}
