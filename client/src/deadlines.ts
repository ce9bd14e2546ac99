/** Moments at which something is due, by the clock. */

interface Deadline {
  moment: number;
  timer: ReturnType<typeof setTimeout>;
}

/**
 * Browsers slow the timers of hidden pages, and stop them while the machine sleeps. So everybody who notices that time
 * has passed should call `check`.
 */
export class Deadlines<Name extends string> {
  #actions: Record<Name, () => void>;
  #planned = new Map<Name, Deadline>();

  constructor(actions: Record<Name, () => void>) {
    this.#actions = actions;
  }

  has(name: Name): boolean {
    return this.#planned.has(name);
  }

  /** Returns the moment, as `Date.now()` counts. */
  set(name: Name, afterMs: number): number {
    this.clear(name);
    const moment = Date.now() + afterMs;
    this.#planned.set(name, { moment, timer: setTimeout(() => this.#act(name), afterMs) });
    return moment;
  }

  clear(...names: Name[]): void {
    for (const name of names) {
      clearTimeout(this.#planned.get(name)?.timer);
      this.#planned.delete(name);
    }
  }

  check(): void {
    for (const [name, deadline] of [...this.#planned]) {
      // An earlier action may have moved or cleared this one.
      if (deadline.moment <= Date.now() && this.#planned.get(name) === deadline) this.#act(name);
    }
  }

  #act(name: Name): void {
    this.clear(name);
    this.#actions[name]();
  }
}
