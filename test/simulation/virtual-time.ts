/**
 * The clock and the timers of the simulated supervisor. Time passes when somebody says so, and a timer is late for as long as nobody fires it.
 *
 * `install` puts it in the place of the timers of Node for the whole process; `laterForReal` is the one that is left.
 */
export interface VirtualTimer {
  due: number;
  readonly every: number | undefined;
  readonly call: () => void;
  unref(): VirtualTimer;
  ref(): VirtualTimer;
}

const realImmediate = globalThis.setImmediate;

/** Resolves when everything that was promised so far has been told. */
export function laterForReal(): Promise<void> {
  return new Promise((resolve) => {
    realImmediate(resolve);
  });
}

export class VirtualTime {
  now = 1_000_000;
  readonly #timers = new Set<VirtualTimer>();

  /** When the next timer is due, perhaps in the past; undefined: there is none. */
  get nextDue(): number | undefined {
    return this.#next()?.due;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Fires the timer that is due first, if one is due by now. */
  fireOne(): boolean {
    const timer = this.#next();
    if (timer === undefined || timer.due > this.now) return false;
    if (timer.every === undefined) this.#timers.delete(timer);
    else timer.due = this.now + timer.every;
    timer.call();
    return true;
  }

  /** Its process has ended. */
  dropTimers(): void {
    this.#timers.clear();
  }

  install(): void {
    const set = (call: (...args: unknown[]) => void, ms: number, every: boolean, args: unknown[]): VirtualTimer => {
      const timer: VirtualTimer = {
        due: this.now + Math.max(0, ms),
        every: every ? Math.max(1, ms) : undefined,
        call: () => call(...args),
        unref: () => timer,
        ref: () => timer,
      };
      this.#timers.add(timer);
      return timer;
    };
    const clear = (timer: VirtualTimer | undefined): void => void this.#timers.delete(timer as VirtualTimer);
    Object.assign(globalThis, {
      setTimeout: (call: () => void, ms = 1, ...args: unknown[]) => set(call, ms, false, args),
      setInterval: (call: () => void, ms = 1, ...args: unknown[]) => set(call, ms, true, args),
      setImmediate: (call: () => void, ...args: unknown[]) => set(call, 0, false, args),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    });
  }

  #next(): VirtualTimer | undefined {
    let next: VirtualTimer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.due < next.due) next = timer;
    return next;
  }
}
