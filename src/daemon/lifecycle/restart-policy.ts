import type { RestartPolicy } from "../config/config.js";
import type { Monotonic } from "./end.js";

/** What an instance remembers between its workers, to space and to bound automatic starts. */
export interface RestartHistory {
  /** Ends in a row that no long healthy run has wiped out. */
  readonly failures: number;
  /** When automatic starts were made within the limit's interval, oldest first. */
  readonly starts: readonly Monotonic[];
}

export const freshHistory: RestartHistory = { failures: 0, starts: [] };

export interface NextStart {
  readonly history: RestartHistory;
  readonly at: Monotonic;
  readonly why: "now" | "backoff" | "start-limit";
}

/**
 * When the next automatic start may happen.
 *
 * The first restart after a worker that had been ready is at once; the backoff counts from the second. A worker that never
 * became ready is spaced from the first on. The limit only ever delays: once the oldest start has left the interval, it goes on.
 *
 * The delay is `min(initial * factor^n, max) * (1 ± jitter)`, to the millisecond, with n = 0 for the first that is spaced.
 *
 * @param ranReadyMs how long the worker had been ready when it ended; undefined if it never was
 * @param random uniform in [0, 1), for the jitter
 */
export function nextStart(
  history: RestartHistory,
  ranReadyMs: number | undefined,
  at: Monotonic,
  policy: RestartPolicy,
  random: number,
): NextStart {
  const { initialMs, factor, maxMs, jitter, resetAfterMs } = policy.backoff;
  const failures = ranReadyMs !== undefined && ranReadyMs >= resetAfterMs ? 0 : history.failures;
  const exponent = ranReadyMs === undefined ? failures : failures - 1;
  // After some thousand failures the power is Infinity: 0 times that would be no number.
  const plain = exponent < 0 || initialMs === 0 ? 0 : Math.min(initialMs * factor ** exponent, maxMs);
  const delay = Math.round(plain * (1 + jitter * (2 * random - 1)));
  const after = at + delay;
  const within = history.starts.filter((start) => start > at - policy.limit.intervalMs);
  const free = limitFree(history, at, policy.limit);
  const next = Math.max(after, free);
  return {
    history: { failures: failures + 1, starts: within },
    at: next,
    why: free > after ? "start-limit" : delay > 0 ? "backoff" : "now",
  };
}

/** From when on the limit allows another automatic start; 0 = at once. */
export function limitFree({ starts }: RestartHistory, at: Monotonic, limit: RestartPolicy["limit"]): Monotonic {
  const within = starts.filter((start) => start > at - limit.intervalMs);
  return within.length < limit.starts ? 0 : within[within.length - limit.starts]! + limit.intervalMs;
}

/** The history after an automatic start at `at`. */
export function recordStart(history: RestartHistory, at: Monotonic, policy: RestartPolicy): RestartHistory {
  const kept = [...history.starts.filter((start) => start > at - policy.limit.intervalMs), at];
  return { failures: history.failures, starts: kept.slice(-Math.max(1, policy.limit.starts)) };
}
