/**
 * Successors that nobody has asked for: for what waits in a stranded lane, for a worker that is unhealthy, for one that has run for long enough. They
 * are automatic starts, one at a time, and a command in progress comes first.
 */
import { wantsAfter } from "./end.js";
import { limitFree, recordStart } from "./restart-policy.js";
import { type Instance, mayStart, without } from "./service-state.js";
import type { Turn } from "./turn.js";
import { spawnWorker, stepWorker, type Worker } from "./worker.js";

/** Workers of one instance that finish what they have, beside the one that serves. */
const MOST_DRAINING = 2;

/**
 * Connections wait where nobody comes: an instance that serves gets a successor there. A command in progress may bring one by itself. It is an
 * automatic start: backoff and start limit stand in its way as in that of any other.
 */
export function rescue(turn: Turn): void {
  const { stranded = [], instances } = turn.state;
  const [lane] = stranded;
  if (lane === undefined || !mayReplaceUnasked(turn)) return;
  const isCanary = (instance: Instance): boolean => hasReadyCanary(turn, instance);
  const ready = instances.filter(({ current }) => current?.state.phase === "ready");
  // Where nobody else could, another canary comes in the place of this one.
  const serving = ready.find(({ successor }) => successor === undefined) ?? ready.find(isCanary);
  if (serving !== undefined)
    replaceUnasked(turn, serving, () => turn.report({ type: "stranded", slot: serving.slot, lane }));
}

/** A worker that is unhealthy serves on as well as it can until its successor is ready. */
export function heal(turn: Turn): void {
  if (turn.policy.health?.action !== "restart" || !mayReplaceUnasked(turn)) return;
  const sick = turn.state.instances.find(
    ({ current, successor }) => current?.unhealthy && current.state.phase === "ready" && successor === undefined,
  );
  if (sick !== undefined) replaceServing(turn, sick);
}

/**
 * A worker whose time is over (`run_limit`) is replaced, where `restart.when` wants another one after a timeout; else it drains and stops, and what comes
 * then is decided as after any end. So does a task, which nobody can replace.
 */
export function renew(turn: Turn): void {
  const { instances, job, lingers } = turn.state;
  const old = instances.filter(({ current, successor }) => current?.limit?.over === true && successor === undefined);
  for (const { current } of old) {
    if (current?.state.phase === "warming") expire(turn, current); // A task: that it runs is its command.
  }
  if (job !== undefined || lingers !== undefined) return;
  const served = old.filter(({ current }) => current?.state.phase === "ready");
  if (!wantsAfter(turn.policy.restart, "abnormal")) {
    for (const { current } of served) if (current !== undefined) expire(turn, current);
    return;
  }
  const [first] = served;
  if (first !== undefined && mayReplaceUnasked(turn)) replaceServing(turn, first);
}

function expire(turn: Turn, worker: Worker): void {
  turn.take(stepWorker(worker, { type: "expire" }, turn.at, turn.policy));
}

/** A command in progress brings successors by itself; and one at a time is enough. A canary that is ready is not one of them. */
function mayReplaceUnasked(turn: Turn): boolean {
  const { job, instances, lingers } = turn.state;
  if (job !== undefined || lingers !== undefined || !mayStart(turn.state)) return false;
  return instances.every((instance) => instance.successor === undefined || hasReadyCanary(turn, instance));
}

function hasReadyCanary(turn: Turn, { slot, successor }: Instance): boolean {
  return slot === turn.state.canary?.slot && successor?.state.phase === "ready";
}

/** By a successor beside it. Where no two may run at the same time (`rollout.surge = 0`) it goes first, one after the other. */
function replaceServing(turn: Turn, instance: Instance): void {
  if (turn.policy.rollout.surge > 0) return replaceUnasked(turn, instance, () => {});
  const othersServe = turn.state.instances.every(({ current, halted }) => halted || current?.state.phase === "ready");
  if (instance.current !== undefined && othersServe && mayStartUnasked(turn, instance))
    turn.retire(instance.current, false); // The next one starts when it is gone.
}

function replaceUnasked(turn: Turn, instance: Instance, tell: () => void): void {
  if (!hasRoomBeside(turn, instance) || !mayStartUnasked(turn, instance)) return;
  tell();
  if (instance.successor !== undefined) turn.retire(instance.successor, true);
  const history = recordStart(instance.history, turn.at, turn.policy.restart);
  spawnSuccessor(turn, { ...without(instance, "wait", "successor"), history }, { unasked: true });
}

/** An automatic start: backoff and start limit stand in its way as in that of any other. */
function mayStartUnasked(turn: Turn, instance: Instance): boolean {
  if (isDelayed(turn, instance)) return false;
  const until = limitFree(instance.history, turn.at, turn.policy.restart.limit);
  if (turn.at >= until) return true;
  turn.delayStart(instance, { until, why: "start-limit" });
  return false;
}

/** Predecessors that drain for long are not ended for a successor, and do not pile up either: it waits. */
export function hasRoomBeside(turn: Turn, { slot }: Instance): boolean {
  return !turn.slotIsTaken(slot) && turn.state.retiring.filter((one) => one.slot === slot).length < MOST_DRAINING;
}

export function spawnSuccessor(turn: Turn, instance: Instance, mark: Pick<Worker, "unasked"> = {}): void {
  const step = turn.marked(spawnWorker(turn.nextWorkerId(), instance.slot, turn.at, turn.policy));
  const successor = { ...step.worker, ...mark };
  turn.setInstance({ ...instance, successor });
  turn.take({ ...step, worker: successor });
}

export function isDelayed(turn: Turn, { wait }: Instance): boolean {
  return wait !== undefined && turn.at < wait.until;
}
