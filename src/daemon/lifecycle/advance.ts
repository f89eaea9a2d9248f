import { recordStart } from "./restart-policy.js";
import { type Instance, triggersFree, without } from "./service-state.js";
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
    if (rollout.active === undefined) {
      const [slot, ...pending] = rollout.pending;
      if (slot === undefined) return turn.clear("rollout");
      const instance = turn.instance(slot);
      if (instance === undefined || runsNothing(turn, instance)) turn.set({ rollout: { pending } });
      else turn.set({ rollout: { pending, active: replaceInstance(turn, instance) } });
      continue;
    }
    const { slot, old } = rollout.active;
    const instance = turn.instance(slot);
    if (instance !== undefined) {
      const { current, successor } = instance;
      if (successor !== undefined) return;
      if (current?.id === old && current?.state.phase === "ready") return startSuccessor(turn, instance);
      if (current?.state.phase !== "ready") return;
    }
    turn.set({ rollout: { pending: rollout.pending } });
  }
}

/** Waiting for a connection: there is nothing to replace, the next worker is a new one anyway. */
function runsNothing(turn: Turn, { current, called }: Instance): boolean {
  if (current === undefined) return turn.onDemand && !called;
  return current.state.phase === "armed" || current.state.phase === "disarming";
}

function replaceInstance(turn: Turn, instance: Instance): { slot: number; old: number } {
  const { slot, current } = instance;
  turn.setInstance({ ...without(instance, "wait"), halted: false, history: { failures: 0, starts: [] } });
  if (current === undefined) return { slot, old: 0 };
  // One that is not ready serves nobody: it makes room at once instead of being waited for.
  if (current.state.phase === "starting" || current.state.phase === "warming") turn.retire(current, false);
  return { slot, old: current.id };
}

function startSuccessor(turn: Turn, instance: Instance): void {
  if (turn.slotIsTaken(instance.slot)) return;
  const step = spawnWorker(turn.nextWorkerId(), instance.slot, turn.at, turn.policy);
  turn.setInstance({ ...instance, successor: step.worker });
  turn.take(step);
}

function startInstance(turn: Turn, slot: number): void {
  const instance = turn.instance(slot);
  if (instance === undefined || instance.current !== undefined || instance.halted) return;
  if (!instance.called || turn.slotIsTaken(slot)) return;
  if (instance.wait !== undefined && turn.at < instance.wait.until) return;
  const step = spawnWorker(turn.nextWorkerId(), slot, turn.at, turn.policy);
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
  const step = armWorker(turn.nextWorkerId(), first.slot);
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
