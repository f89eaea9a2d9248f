import { laneOf } from "./advance.js";
import { without } from "./service-state.js";
import type { Turn } from "./turn.js";
import type { Worker } from "./worker.js";

/** The successor is ready, so it is the current worker from now on, and the one before retires. */
export function handOver(turn: Turn, successor: Worker): void {
  const instance = turn.instance(successor.slot);
  if (instance === undefined) return;
  const predecessor = instance.current;
  turn.setInstance({
    ...without(instance, "successor", "current"),
    ...laneOf(successor),
    current: successor,
    restarts: instance.restarts + 1,
  });
  if (predecessor !== undefined) turn.retire(predecessor, true);
}
