import { recordStart } from "./restart-policy.js";
import { type Instance, triggersFree, unhindered, without } from "./service-state.js";
import type { Turn } from "./turn.js";
import { armWorker, spawnWorker } from "./worker.js";

/** Compares what is wanted with what is there, and asks for the difference. Calling it twice asks for nothing more. */
export function advance(turn: Turn): void {
  if (turn.state.desired === "started" && !turn.state.blocked) {
    roll(turn);
    for (const { slot } of turn.state.instances) startInstance(turn, slot);
    armIfIdle(turn);
  }
  finishJob(turn);
}

/** Moves a rolling restart on: is the instance in hand done, and which one is next? */
function roll(turn: Turn): void {
  for (;;) {
    const { rollout } = turn.state;
    if (rollout === undefined) return;
    const { active, pending } = rollout;
    if (active === undefined) {
      const [slot, ...rest] = pending;
      if (slot === undefined) return turn.clear("rollout");
      const old = makeReplaceable(turn, slot);
      turn.set({ rollout: { pending: rest, active: { slot, old } } });
      continue;
    }
    const instance = turn.instance(active.slot);
    if (instance !== undefined && !isReplaced(turn, instance, active.old)) return replace(turn, instance);
    turn.set({ rollout: { pending } });
  }
}

function isReplaced(turn: Turn, instance: Instance, old: number): boolean {
  const { current, successor } = instance;
  if (runsNothing(turn, instance)) return true;
  return successor === undefined && current?.state.phase === "ready" && current.id !== old;
}

/** Waiting for a connection: there is nothing to replace, the next worker is a new one anyway. */
function runsNothing(turn: Turn, { current, called }: Instance): boolean {
  if (current === undefined) return turn.onDemand && !called;
  return current.state.phase === "armed" || current.state.phase === "disarming";
}

/** A worker that is not ready serves nobody: it makes room at once instead of being waited for. */
function makeReplaceable(turn: Turn, slot: number): number {
  const instance = turn.instance(slot);
  const current = instance?.current;
  if (instance === undefined || current === undefined || runsNothing(turn, instance)) return 0;
  if (current.state.phase === "ready") return current.id;
  turn.retire(current, false);
  return 0;
}

/** The next step towards another worker in this instance: it may have to wait for one that is on its way in or out. */
function replace(turn: Turn, instance: Instance): void {
  const { slot, current, successor } = instance;
  if (current === undefined) return turn.setInstance(unhindered(instance)); // `startInstance` does the rest.
  if (current.state.phase !== "ready" || successor !== undefined || turn.slotIsTaken(slot)) return;
  const step = turn.marked(spawnWorker(turn.nextWorkerId(), slot, turn.at, turn.policy));
  turn.setInstance({ ...unhindered(instance), successor: step.worker });
  turn.take(step);
}

function startInstance(turn: Turn, slot: number): void {
  takeSuccessor(turn, slot);
  const instance = turn.instance(slot);
  if (instance === undefined || instance.current !== undefined || instance.halted) return;
  if (!instance.called || turn.slotIsTaken(slot)) return;
  if (instance.wait !== undefined && turn.at < instance.wait.until) return;
  const step = turn.marked(spawnWorker(turn.nextWorkerId(), slot, turn.at, turn.policy));
  const history = recordStart(instance.history, turn.at, turn.policy.restart);
  turn.setInstance({ ...without(instance, "wait"), current: step.worker, history });
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
  turn.setInstance({ ...first, current: step.worker });
  turn.take(step);
  turn.report({ type: "armed", slot: first.slot, worker: step.worker.id });
}

/** Answers the command in progress once what it asked for is there. */
function finishJob(turn: Turn): void {
  const { job, rollout, retiring } = turn.state;
  if (job === undefined) return;
  switch (job.kind) {
    case "stop":
      if (turn.workers().length > 0) return;
      turn.report({ type: "stopped" });
      return turn.endJob("done");
    case "start":
    case "scale":
    case "restart-hard":
      if (retiring.length > 0 || !turn.state.instances.every((instance) => isSettled(turn, instance))) return;
      if (job.kind === "restart-hard") turn.report({ type: "restarted" });
      return turn.endJob("done");
    case "restart":
      if (rollout !== undefined || retiring.length > 0) return;
      turn.report({ type: "restarted" });
      return turn.endJob("done");
  }
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
  turn.setInstance({ ...without(instance, "successor"), current: instance.successor });
}
