/**
 * How long a worker may run (`run_limit`): a daemon from the moment it is ready, a task from its start.
 *
 * The worker has the limit of the configuration in force, with what it has asked for beyond that (EXTEND_TIMEOUT_USEC) as long as its time was not over.
 * What becomes of one whose time is over is decided in unasked.ts.
 */
import type { Monotonic } from "./end.js";
import { isTask } from "./task.js";
import type { Turn } from "./turn.js";
import type { Worker } from "./worker.js";

export interface RunLimit {
  /** As the configuration says. */
  readonly ms: number;
  readonly until: Monotonic;
  /** That was told. */
  readonly over?: true;
}

/** Gives each worker that runs the limit of the moment, and notes whose time is over. */
export function limitRuns(turn: Turn): void {
  const { runLimitMs } = turn.policy;
  for (const { worker } of turn.workers()) {
    const since = runsSince(worker, isTask(turn.policy));
    const limit = since === undefined ? undefined : limitOf(worker, since, runLimitMs, turn.at);
    if (limit === worker.limit) continue;
    const { limit: before, ...rest } = worker;
    const isNews = limit?.over === true && before?.over !== true;
    turn.take({
      worker: limit === undefined ? rest : { ...rest, limit },
      effects: [],
      facts: isNews ? ["run-limit"] : [],
    });
  }
}

/** When `limitRuns` is to look again; undefined: never. */
export function runLimitDue({ limit }: Worker): Monotonic | undefined {
  return limit === undefined || limit.over === true ? undefined : limit.until;
}

/** It needs at least so long from now on; too late once its time is over. */
export function extendRun(worker: Worker, until: Monotonic): Worker {
  const { limit } = worker;
  if (limit === undefined || limit.over === true || until <= limit.until) return worker;
  return { ...worker, limit: { ...limit, until } };
}

function runsSince({ state, startedAt, readyAt }: Worker, task: boolean): Monotonic | undefined {
  if (task) return state.phase === "warming" ? startedAt : undefined;
  return state.phase === "ready" ? readyAt : undefined;
}

function limitOf(
  { limit: before }: Worker,
  since: Monotonic,
  ms: number | undefined,
  at: Monotonic,
): RunLimit | undefined {
  if (ms === undefined) return undefined;
  const limit = before?.ms === ms ? before : { ms, until: since + ms };
  return limit.over === true || at < limit.until ? limit : { ...limit, over: true };
}
