/**
 * The watchdog of a worker that is ready: WATCHDOG=1 of sd_notify(3) is expected at intervals.
 *
 * Each change of a state is written to the keeper, so a worker that feeds its watchdog in a loop must not change it each time: what comes within
 * a 20th of the interval after the last one is not taken into account, and the deadline is as much later.
 */
import type { Monotonic } from "./end.js";
import type { Worker, WorkerPolicy, WorkerStep } from "./worker-state.js";

const SLACK = 1 / 20;

/** Of a worker that has become ready. */
export function watchdogFrom(
  worker: Worker,
  at: Monotonic,
  { watchdogMs = 0 }: WorkerPolicy,
): Pick<Worker, "watchdog"> {
  const everyMs = worker.watchdog?.everyMs ?? watchdogMs;
  return everyMs > 0 ? { watchdog: { everyMs, fed: at } } : {};
}

/** When it is missed; undefined: nobody waits for it. */
export function watchdogDue({ watchdog }: Worker): Monotonic | undefined {
  if (watchdog?.fed === undefined || watchdog.everyMs === 0) return undefined;
  return watchdog.fed + Math.ceil(watchdog.everyMs * (1 + SLACK));
}

export function isSilent(worker: Worker, at: Monotonic): boolean {
  const due = watchdogDue(worker);
  return due !== undefined && at >= due;
}

export function feed(worker: Worker, at: Monotonic): WorkerStep {
  const { watchdog } = worker;
  const taken = watchdog?.fed !== undefined && at - watchdog.fed >= watchdog.everyMs * SLACK;
  return { worker: taken ? { ...worker, watchdog: { ...watchdog, fed: at } } : worker, effects: [], facts: [] };
}

export function changeWatchdog(worker: Worker, everyMs: number, at: Monotonic): WorkerStep {
  const { phase } = worker.state;
  const runs = phase === "ready" || phase === "draining";
  return { worker: { ...worker, watchdog: { everyMs, ...(runs ? { fed: at } : {}) } }, effects: [], facts: [] };
}

/** SIGABRT, so that it leaves a core where that is allowed; SIGKILL to its tree after the stop timeout. */
export function abort(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  return {
    worker: {
      ...worker,
      reason: worker.reason === "asked" ? "asked" : "watchdog",
      ...(worker.drain === undefined ? {} : { drain: { ...worker.drain, until: at } }),
      state: { phase: "stopping", deadline: at + policy.stop.timeoutMs, instead: "SIGABRT" },
    },
    effects: [{ type: "signal", worker: worker.id, signal: "SIGABRT" }],
    facts: ["watchdog"],
  };
}
