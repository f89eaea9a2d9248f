import { limitFree, recordStart } from "./restart-policy.js";
import {
  type Instance,
  mayStart,
  type Replacement,
  type Rollout,
  triggersFree,
  unhindered,
  without,
} from "./service-state.js";
import type { Turn } from "./turn.js";
import { armWorker, spawnWorker, stepWorker, type Worker } from "./worker.js";

/** Workers of one instance that finish what they have, beside the one that serves. */
const MOST_DRAINING = 2;

/** Compares what is wanted with what is there, and asks for the difference. Calling it twice asks for nothing more. */
export function advance(turn: Turn): void {
  if (mayStart(turn.state)) {
    callAll(turn);
    roll(turn);
    for (const { slot } of turn.state.instances) startInstance(turn, slot);
    armIfIdle(turn);
  }
  finishJob(turn);
  rescue(turn);
  heal(turn);
  turn.steer();
}

/**
 * Without an activation to wait for, nothing else would ever call an instance that waits for one: another configuration was in force before, or was
 * tried by an apply that its supervisor did not survive.
 */
function callAll(turn: Turn): void {
  if (turn.onDemand) return;
  for (const instance of turn.state.instances) {
    if (!instance.called) turn.setInstance({ ...instance, called: true });
    const { current } = instance;
    if (current?.state.phase === "armed") turn.take(stepWorker(current, { type: "launch" }, turn.at, turn.policy));
  }
}

/**
 * Connections wait where nobody comes: an instance that serves gets a successor there. A command in progress may bring one by itself. It is an
 * automatic start: backoff and start limit stand in its way as in that of any other.
 */
function rescue(turn: Turn): void {
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
function heal(turn: Turn): void {
  if (turn.policy.health?.action !== "restart" || !mayReplaceUnasked(turn)) return;
  const sick = turn.state.instances.find(
    ({ current, successor }) => current?.unhealthy && current.state.phase === "ready" && successor === undefined,
  );
  if (sick !== undefined) replaceUnasked(turn, sick, () => {});
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

/** An automatic start: backoff and start limit stand in its way as in that of any other. */
function replaceUnasked(turn: Turn, instance: Instance, tell: () => void): void {
  if (!hasRoomBeside(turn, instance) || isDelayed(turn, instance)) return;
  const { restart } = turn.policy;
  const until = limitFree(instance.history, turn.at, restart.limit);
  if (turn.at < until) return turn.delayStart(instance, { until, why: "start-limit" });
  tell();
  if (instance.successor !== undefined) turn.retire(instance.successor, true);
  const history = recordStart(instance.history, turn.at, restart);
  spawnSuccessor(turn, { ...without(instance, "wait", "successor"), history }, { unasked: true });
}

/** Moves a rolling restart on: what is replaced, and what comes next? */
function roll(turn: Turn): void {
  for (;;) {
    passOver(turn);
    const { rollout } = turn.state;
    if (rollout === undefined) return;
    const replaced = rollout.active.filter((one) => isReplaced(turn, one));
    if (replaced.length > 0) {
      const active = rollout.active.filter((one) => !replaced.includes(one));
      const { pauseMs } = turn.policy.rollout;
      const isWaitedFor = pauseMs > 0 && rollout.pending.length > 0 && replaced.some(({ slot }) => runs(turn, slot));
      const pause = isWaitedFor ? { pauseUntil: turn.at + pauseMs } : {};
      turn.set({ rollout: { ...rollout, active, ...pause } });
      continue;
    }
    if (rollout.active.length + rollout.pending.length === 0) return turn.clear("rollout");
    if (!takeNext(turn, rollout)) break;
  }
  for (const { slot } of turn.state.rollout?.active ?? []) {
    const instance = turn.instance(slot);
    if (instance !== undefined) replace(turn, instance);
  }
}

/** What runs nothing is neither replaced nor waited for: the next worker is a new one anyway. */
function passOver(turn: Turn): void {
  const { rollout } = turn.state;
  const pending = rollout?.pending.filter((slot) => runs(turn, slot)) ?? [];
  if (rollout !== undefined && pending.length < rollout.pending.length) turn.set({ rollout: { ...rollout, pending } });
}

/** Takes the next instance in hand, if there is room for one more and no pause. */
function takeNext(turn: Turn, { pending, active, pauseUntil }: Rollout): boolean {
  if (pauseUntil !== undefined && turn.at < pauseUntil) return false;
  const [slot, ...rest] = pending;
  const { surge, unavailable } = turn.policy.rollout;
  const room = (first: Replacement["first"], most: number): boolean =>
    active.filter((one) => one.first === first).length < most;
  const first = room("successor", surge) ? "successor" : room("stop", unavailable) ? "stop" : undefined;
  if (slot === undefined || first === undefined) {
    // The pause is over, and nothing may remind of it.
    if (pauseUntil !== undefined) turn.set({ rollout: { pending, active } });
    return false;
  }
  const old = makeReplaceable(turn, slot, first);
  turn.set({ rollout: { pending: rest, active: [...active, { slot, old, first }] } });
  return true;
}

function isReplaced(turn: Turn, { slot, old }: Replacement): boolean {
  const instance = turn.instance(slot);
  if (instance === undefined) return true;
  const { current, successor } = instance;
  if (runsNothing(turn, instance)) return true;
  if (turn.state.canary?.slot === slot && successor?.state.phase === "ready") return true;
  return successor === undefined && current?.state.phase === "ready" && current.id !== old;
}

function runs(turn: Turn, slot: number): boolean {
  const instance = turn.instance(slot);
  return instance !== undefined && !runsNothing(turn, instance);
}

/** It waits for a connection. */
function runsNothing(turn: Turn, { current, called }: Instance): boolean {
  if (current === undefined) return turn.onDemand && !called;
  return current.state.phase === "armed" || current.state.phase === "disarming";
}

/** A worker that is not ready serves nobody: it makes room at once instead of being waited for. */
function makeReplaceable(turn: Turn, slot: number, first: Replacement["first"]): number {
  const instance = turn.instance(slot);
  const current = instance?.current;
  if (instance === undefined || current === undefined || runsNothing(turn, instance)) return 0;
  if (current.state.phase === "ready" && first === "successor") return current.id;
  turn.retire(current, false);
  return 0;
}

/** The next step towards another worker in this instance: it may have to wait for one that is on its way in or out. */
function replace(turn: Turn, instance: Instance): void {
  const { current, successor } = instance;
  if (current === undefined) return turn.setInstance(unhindered(instance)); // `startInstance` does the rest.
  if (current.state.phase !== "ready" || successor !== undefined || !hasRoomBeside(turn, instance)) return;
  spawnSuccessor(turn, unhindered(instance));
}

/** Predecessors that drain for long are not ended for a successor, and do not pile up either: it waits. */
function hasRoomBeside(turn: Turn, { slot }: Instance): boolean {
  return !turn.slotIsTaken(slot) && turn.state.retiring.filter((one) => one.slot === slot).length < MOST_DRAINING;
}

function spawnSuccessor(turn: Turn, instance: Instance, mark: Pick<Worker, "unasked"> = {}): void {
  const step = turn.marked(spawnWorker(turn.nextWorkerId(), instance.slot, turn.at, turn.policy));
  const successor = { ...step.worker, ...mark };
  turn.setInstance({ ...instance, successor });
  turn.take({ ...step, worker: successor });
}

function isDelayed(turn: Turn, { wait }: Instance): boolean {
  return wait !== undefined && turn.at < wait.until;
}

function startInstance(turn: Turn, slot: number): void {
  takeSuccessor(turn, slot);
  const instance = turn.instance(slot);
  if (instance === undefined || instance.current !== undefined || instance.halted) return;
  if (!instance.called || turn.slotIsTaken(slot)) return;
  if (turn.state.lingers?.next === "restart") return; // What runs is about to end: what comes next is started by that.
  if (isDelayed(turn, instance)) return;
  const step = turn.marked(spawnWorker(turn.nextWorkerId(), slot, turn.at, turn.policy));
  const history = recordStart(instance.history, turn.at, turn.policy.restart);
  turn.clear("completed");
  turn.setInstance({ ...without(instance, "wait"), ...laneOf(step.worker), current: step.worker, history });
  turn.take(step);
}

function armIfIdle(turn: Turn): void {
  if (!turn.onDemand) return;
  const { instances, retiring, triggers } = turn.state;
  if (instances.some(({ current, successor, called }) => current || successor || called)) return;
  if (retiring.some(({ overlaps }) => overlaps !== true)) return;
  if (turn.at < triggersFree(triggers)) return;
  const first = instances[0];
  if (first === undefined) return;
  const step = turn.marked(armWorker(turn.nextWorkerId(), first.slot));
  turn.setInstance({ ...first, ...laneOf(step.worker), current: step.worker });
  turn.take(step);
  turn.report({ type: "armed", slot: first.slot, worker: step.worker.id });
}

/** Answers the command in progress once what it asked for is there. */
function finishJob(turn: Turn): void {
  const { job, rollout, retiring, awaits, lingers } = turn.state;
  if (job === undefined) return;
  if ((awaits ?? lingers) !== undefined && job.kind !== "stop" && job.kind !== "abort") return;
  switch (job.kind) {
    case "stop":
      if (turn.workers().length > 0) return;
      turn.report({ type: "stopped" });
      return turn.endJob("done");
    case "start":
    case "scale":
    case "restart-hard":
      if (retiring.length > 0 || !turn.state.instances.every((instance) => isSettled(turn, instance))) return;
      return turn.endJob("done");
    case "restart":
      if (rollout === undefined && retiring.length === 0) turn.endJob("done");
      return;
    case "canary":
      if (rollout === undefined) turn.endJob("done");
      return;
    case "abort":
      if (retiring.length === 0) turn.endJob("done");
      return;
  }
}

/** The instance keeps its worker's lane: the next one finds there what waits. */
export function laneOf({ lane }: Worker): { readonly lane?: number } {
  return lane === undefined ? {} : { lane };
}

function isSettled(turn: Turn, { current, called, halted }: Instance): boolean {
  if (turn.state.desired === "stopped" || halted) return true;
  if (current === undefined) return !called;
  return current.state.phase === "ready" || current.state.phase === "armed";
}

/** The predecessor was taken away before its successor was ready (it had crashed, and a later command retired it): the successor is what the instance has. */
function takeSuccessor(turn: Turn, slot: number): void {
  const instance = turn.instance(slot);
  if (instance?.successor === undefined || instance.current !== undefined) return;
  if (turn.state.canary?.slot === slot) turn.clear("canary");
  turn.setInstance({ ...without(instance, "successor"), ...laneOf(instance.successor), current: instance.successor });
}
