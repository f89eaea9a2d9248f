/**
 * Which workers of a service are kept from new connections because they are unhealthy: all of them but the last one that serves.
 *
 * It looks at levels: whatever has taken the others away, one that was set aside comes back at once, and goes again when others serve.
 */
import { forgetAside, isAside } from "./aside.js";
import type { Turn } from "./turn.js";
import { stepWorker, type Worker, type WorkerEvent } from "./worker.js";

export function chooseWhoServes(turn: Turn): void {
  const isAsked = turn.policy.health?.action === "drain";
  for (const { worker, role } of turn.workers()) {
    if (worker.aside === undefined) continue;
    if (worker.state.phase !== "ready") turn.take({ worker: forgetAside(worker), effects: [], facts: [] });
    else if (!isAsked || role !== "current") tell(turn, worker, "in");
  }
  if (!isAsked) return;
  const ready = (): Worker[] => turn.state.instances.flatMap(({ current }) => (isReady(current) ? [current] : []));
  for (const worker of ready()) {
    if (worker.unhealthy !== true || isAside(worker) || worker.aside?.how === "cannot") continue;
    const isLast = !ready().some((other) => other.id !== worker.id && !isAside(other));
    tell(turn, worker, isLast ? "last" : "out");
  }
  const [first] = ready();
  if (first !== undefined && ready().every(isAside)) tell(turn, first, "last");
}

function isReady(worker: Worker | undefined): worker is Worker {
  return worker?.state.phase === "ready";
}

function tell(turn: Turn, worker: Worker, to: Extract<WorkerEvent, { type: "aside" }>["to"]): void {
  turn.take(stepWorker(worker, { type: "aside", to }, turn.at, turn.policy));
}
