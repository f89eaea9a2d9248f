import type { Monotonic } from "../../lifecycle/end.js";
import type { Clock } from "../clock.js";

/**
 * How a reload went for one worker.
 *
 *   sent        it was told; nobody waits for more
 *   reloaded    it said RELOADING=1, then READY=1
 *   silent      it did not say RELOADING=1 in time
 *   unfinished  it said RELOADING=1, and not READY=1 in time
 *   ended       it ended meanwhile, or had ended before
 *   retired     the same, and that had been asked of it: by a stop, or a restart
 *   problem     the command that tells it failed, in words
 */
export type Reloaded =
  | "sent"
  | "reloaded"
  | "silent"
  | "unfinished"
  | "ended"
  | "retired"
  | { readonly problem: string };

interface Waiting {
  readonly since: Monotonic;
  /** For READY=1, and until it has said RELOADING=1 for that. */
  deadline: Monotonic;
  patience: Monotonic;
  begun: boolean;
  timer: NodeJS.Timeout | undefined;
  readonly end: (how: Reloaded) => void;
}

/** Those who wait until workers have read their configuration again. Nothing of it outlives the supervisor: nor does the one who asked. */
export class WorkerReloads {
  readonly #clock: Clock;
  readonly #listen: (worker: number) => void;
  readonly #waiting = new Map<number, Set<Waiting>>();

  /** @param listen hears what a worker has said by now */
  constructor(clock: Clock, listen: (worker: number) => void) {
    this.#clock = clock;
    this.#listen = listen;
  }

  /** To be called before the worker is told. What it said before counts as little as a RELOADING=1 that says that it is from before. */
  wait(worker: number, o: { readonly timeoutMs: number; readonly patienceMs: number }): Promise<Reloaded> {
    return new Promise((resolve) => {
      const since = this.#clock.monotonic();
      const all = this.#waiting.get(worker) ?? new Set();
      const waiting: Waiting = {
        since,
        deadline: since + o.timeoutMs,
        patience: since + o.patienceMs,
        begun: false,
        timer: undefined,
        end: (how) => {
          clearTimeout(waiting.timer);
          all.delete(waiting);
          if (all.size === 0) this.#waiting.delete(worker);
          resolve(how);
        },
      };
      this.#waiting.set(worker, all.add(waiting));
      this.#arm(worker, waiting);
    });
  }

  /** RELOADING=1. */
  begun(worker: number, at: Monotonic | undefined): void {
    for (const waiting of this.#of(worker)) {
      if (at !== undefined && at < waiting.since) continue;
      waiting.begun = true;
      this.#arm(worker, waiting);
    }
  }

  /** READY=1. */
  ready(worker: number): void {
    for (const waiting of this.#of(worker)) if (waiting.begun) waiting.end("reloaded");
  }

  extend(worker: number, byMs: number): void {
    const until = this.#clock.monotonic() + byMs;
    for (const waiting of this.#of(worker)) {
      waiting.deadline = Math.max(waiting.deadline, until);
      waiting.patience = Math.max(waiting.patience, until);
      this.#arm(worker, waiting);
    }
  }

  ended(worker: number, how: "ended" | "retired" = "ended"): void {
    for (const waiting of this.#of(worker)) waiting.end(how);
  }

  closeAll(): void {
    for (const worker of [...this.#waiting.keys()]) this.ended(worker);
  }

  #of(worker: number): readonly Waiting[] {
    return [...(this.#waiting.get(worker) ?? [])];
  }

  #arm(worker: number, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    const wait = Math.min(Math.ceil(dueOf(waiting) - this.#clock.monotonic()), 2 ** 31 - 1);
    waiting.timer = setTimeout(() => this.#late(worker, waiting), Math.max(1, wait));
  }

  /** What it has said in time counts, also where we are late. */
  #late(worker: number, waiting: Waiting): void {
    const before = dueOf(waiting);
    this.#listen(worker);
    if (this.#waiting.get(worker)?.has(waiting) !== true || dueOf(waiting) > before) return;
    waiting.end(waiting.begun ? "unfinished" : "silent");
  }
}

function dueOf({ begun, deadline, patience }: Waiting): Monotonic {
  return begun ? deadline : patience;
}
