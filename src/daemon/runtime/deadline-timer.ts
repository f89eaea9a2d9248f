import type { Monotonic } from "../lifecycle/end.js";
import type { Clock } from "./clock.js";

/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;

/** The one timer of a machine. It may be early, which is harmless: the machine looks at the time itself, and its deadline is armed again. */
export class DeadlineTimer {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #passed: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Pick<Clock, "monotonic">, passed: () => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** Instead of the deadline of before; undefined: there is none. */
  arm(deadline: Monotonic | undefined): void {
    clearTimeout(this.#timer);
    if (deadline === undefined || !Number.isFinite(deadline)) return;
    const wait = Math.min(Math.max(1, Math.ceil(deadline - this.#clock.monotonic())), LONGEST_MS);
    this.#timer = setTimeout(this.#passed, wait);
  }
}
