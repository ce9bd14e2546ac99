/** Moments at which something is due, by the clock. */

interface Deadline {
  moment: number;
  timer: ReturnType<typeof setTimeout>;
  fire(): void;
}

/**
 * Browsers slow the timers of hidden pages, and stop them while the machine sleeps. So everybody who notices that time
 * has passed should call `check`.
 */
export class Deadlines<Name> extends Map<Name, Deadline> {
  /** Plan an action, in the place of the one with this name. Returns the moment, as `Date.now()` counts. */
  plan(name: Name, afterMs: number, action: () => void): number {
    this.cancel(name);
    const fire = (): void => {
      this.cancel(name);
      action();
    };
    const moment = Date.now() + afterMs;
    this.set(name, { moment, fire, timer: setTimeout(fire, afterMs) });
    return moment;
  }

  cancel(...names: Name[]): void {
    for (const name of names) {
      clearTimeout(this.get(name)?.timer);
      this.delete(name);
    }
  }

  /** What an action cancels is skipped here, and what it plans is looked at, too. */
  check(): void {
    for (const { moment, fire } of this.values()) if (moment <= Date.now()) fire();
  }
}
