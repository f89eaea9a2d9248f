/** How long the process of one connection may run (`run_limit`), from its start: then it gets the stop signal, and SIGKILL after the stop timeout. */
import { type AcceptState, type Connection, isEnding } from "./accept.js";
import type { Monotonic } from "./end.js";

/** Those whose time is over, and that nobody has told yet. */
export function overdue(state: AcceptState, runLimitMs: number | undefined, at: Monotonic): readonly Connection[] {
  if (runLimitMs === undefined) return [];
  return untold(state).filter(({ startedAt }) => startedAt + runLimitMs <= at);
}

/** Of those that were told, whose stop timeout is over. */
export function unwilling({ overdue: told }: AcceptState, at: Monotonic): readonly number[] {
  return [...told].flatMap(([number, killAt]) => (killAt <= at ? [number] : []));
}

/** When one of both is next; Infinity: never. */
export function limitDeadline(state: AcceptState, runLimitMs: number | undefined): Monotonic {
  let next = Number.POSITIVE_INFINITY;
  for (const killAt of state.overdue.values()) next = Math.min(next, killAt);
  if (runLimitMs === undefined) return next;
  for (const { startedAt } of untold(state)) next = Math.min(next, startedAt + runLimitMs);
  return next;
}

/** What ends as part of a stop has its signal already. */
function untold(state: AcceptState): Connection[] {
  const isTold = state.ending !== undefined && state.ending.phase !== "draining";
  return [...state.connections.values()].filter(
    (one) => !state.overdue.has(one.number) && !(isTold && isEnding(state, one)),
  );
}
