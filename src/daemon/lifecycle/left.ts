/**
 * Workers that nobody watches any more: keeper and supervisor were killed at once, and with them the states of all services. What is wanted is what
 * the configuration says; which of the workers belong where is said by their environment.
 */
import type { ServiceConfig } from "../config/config.js";
import type { Monotonic } from "./end.js";
import { newInstance, newService, range, type ServiceState } from "./service-state.js";
import { stepWorker, type Worker } from "./worker.js";

export interface LeftWorker {
  readonly slot: number;
  readonly id: number;
  readonly pid: number;
  readonly startedAt: Monotonic;
  /** It waits for its sockets, as far as the kernel shows that; one that has none does. */
  readonly serves: boolean;
  /** What it says is heard. */
  readonly heard: boolean;
}

/** The mark of workers that are to make room for successors, as those of a configuration that is not in force. */
const UNCERTAIN = "left";

/**
 * The state of a service with these workers, at least one of them; nothing is known to be bound yet.
 *
 * In each instance the newest that serves stays; the others, from a restart that was cut off, finish what they have. One that is not seen to serve may have a
 * valve that nobody can open any more, or may not have become ready: it stays, too, until a successor is ready.
 */
export function stateOfLeft(policy: ServiceConfig, left: readonly LeftWorker[], at: Monotonic): ServiceState {
  const size = Math.max(policy.workers, ...left.map(({ slot }) => slot));
  const order = left.toSorted((a, b) => Number(b.serves) - Number(a.serves) || b.id - a.id);
  const current = new Map<number, Worker>();
  const retiring: Worker[] = [];
  for (const one of order) {
    const worker = workerOf(one, policy, at);
    if (!current.has(one.slot)) current.set(one.slot, worker);
    else retiring.push(stepWorker(worker, { type: "retire", overlaps: true }, at, policy).worker);
  }
  return {
    ...newService(policy),
    desired: "started",
    blocked: true,
    size,
    nextWorker: Math.max(...left.map(({ id }) => id)) + 1,
    instances: range(size).map((slot) => {
      const worker = current.get(slot);
      return { ...newInstance(slot), called: true, ...(worker === undefined ? {} : { current: worker }) };
    }),
    retiring,
  };
}

function workerOf(left: LeftWorker, policy: ServiceConfig, at: Monotonic): Worker {
  const { slot, id, pid, startedAt, serves, heard } = left;
  const { watchdogMs = 0 } = policy;
  return {
    id,
    slot,
    pid,
    startedAt,
    readyAt: at,
    state: { phase: "ready" },
    ...(serves && (heard || watchdogMs === 0) ? {} : { version: UNCERTAIN }),
    ...(watchdogMs === 0 ? {} : { watchdog: heard ? { everyMs: watchdogMs, fed: at } : { everyMs: 0 } }),
  };
}
