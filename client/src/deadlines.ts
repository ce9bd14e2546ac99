/** Moments at which something is due, by the clock. */

/**
 * Browsers slow the timers of hidden pages, and stop them while the machine sleeps. So a timer only looks at the clock,
 * and so should everybody who notices that time has passed: call `check`.
 */
export class Deadlines<Name extends string> {
  #actions: Record<Name, () => void>;
  #moments = new Map<Name, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(actions: Record<Name, () => void>) {
    this.#actions = actions;
  }

  has(name: Name): boolean {
    return this.#moments.has(name);
  }

  /** Returns the moment, as `Date.now()` counts. */
  set(name: Name, afterMs: number): number {
    const moment = Date.now() + afterMs;
    this.#moments.set(name, moment);
    this.#arm();
    return moment;
  }

  clear(...names: Name[]): void {
    for (const name of names.length ? names : this.#moments.keys()) this.#moments.delete(name);
    this.#arm();
  }

  check(now = Date.now()): void {
    for (const [name, moment] of [...this.#moments]) {
      // An earlier action may have moved or cleared this one.
      if (moment > now || this.#moments.get(name) !== moment) continue;
      this.#moments.delete(name);
      this.#actions[name]();
    }
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (!this.#moments.size) return;
    const next = Math.min(...this.#moments.values());
    // What a timer has waited for is due, even if somebody has set the clock back meanwhile.
    this.#timer = setTimeout(() => this.check(Math.max(Date.now(), next)), Math.max(0, next - Date.now()));
  }
}
