/** What the control interface reports to the supervisor's log. It never writes anywhere itself. */
export interface ControlEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event:
    | "control-action"
    | "control-denied"
    | "control-full"
    | "control-follower-too-slow"
    | "control-listen-failed"
    | "control-internal-error";
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export type ControlLog = (event: ControlEvent) => void;

/**
 * Lets one line per subject and second through and counts the rest, so that somebody who is refused again and again
 * cannot fill the log. `suppressed` of the next line says how many were left out.
 */
export class LimitedLog {
  readonly #log: ControlLog;
  readonly #now: () => number;
  readonly #subjects = new Map<string, { lastMs: number; suppressed: number }>();

  /** @param now milliseconds of a clock that never goes back. */
  constructor(log: ControlLog, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  write(subject: string, event: ControlEvent): void {
    const at = this.#now();
    const before = this.#subjects.get(subject);
    if (before !== undefined && at - before.lastMs < 1000) {
      before.suppressed += 1;
      return;
    }
    // Subjects are user ids, so there are few; the bound is for machines with very many.
    if (this.#subjects.size >= 256) this.#subjects.clear();
    this.#subjects.set(subject, { lastMs: at, suppressed: 0 });
    const suppressed = before?.suppressed ?? 0;
    this.#log(suppressed === 0 ? event : { ...event, data: { ...event.data, suppressed } });
  }
}
