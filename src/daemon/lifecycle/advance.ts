import { recordStart } from "./restart-policy.js";
import { limitRuns } from "./run-limit.js";
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
import { hasRoomBeside, heal, isDelayed, renew, rescue, spawnSuccessor } from "./unasked.js";
import { chooseWhoServes } from "./who-serves.js";
import { armWorker, spawnWorker, stepWorker, type Worker } from "./worker.js";

/** Compares what is wanted with what is there, and asks for the difference. Calling it twice asks for nothing more. */
export function advance(turn: Turn): void {
  if (mayStart(turn.state)) {
    callAll(turn);
    roll(turn);
    for (const { slot } of turn.state.instances) startInstance(turn, slot);
    armIfIdle(turn);
  }
  finishJob(turn);
  limitRuns(turn);
  rescue(turn);
  heal(turn);
  renew(turn);
  chooseWhoServes(turn);
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
