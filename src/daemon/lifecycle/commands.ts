import { beginAwaiting, leave, lookAgain, stayOrReturn } from "./awaiting.js";
import { handOver } from "./handover.js";
import { withReady } from "./receipt.js";
import { type Instance, newInstance, range, type ServiceEvent, unhindered } from "./service-state.js";
import { configureTask, isTask } from "./task.js";
import type { Turn } from "./turn.js";
import { stepWorker, type Worker } from "./worker.js";

/** Of a current worker: it has failed, or ends by itself. */
const LEAVING: ReadonlySet<Worker["state"]["phase"]> = new Set([
  "draining",
  "parting",
  "stopping",
  "killing",
  "sweeping",
  "clearing",
]);

type Command = Extract<ServiceEvent, { asker: number }>;

/** What the operator asks for. Limits and backoff never stand in an operator's way. */
export function commandService(turn: Turn, command: Command): void {
  if (command.type === "start" || command.type === "restart") lookAgain(turn);
  switch (command.type) {
    case "start":
      return start(turn, command.asker);
    case "stop":
      return stop(turn, command.asker, command.withinMs);
    case "restart":
      if (turn.state.desired === "stopped") return start(turn, command.asker);
      if (isTask(turn.policy)) return restartTask(turn, command.asker);
      return command.hard ? restartHard(turn, command.asker) : restart(turn, command.asker);
    case "scale":
      if (command.configured !== undefined) turn.set({ configured: command.configured });
      return scale(turn, command.asker, command.size);
    case "configure":
      if (isTask(turn.policy) && turn.state.desired === "started")
        return configureTask(turn, command.asker, { replace: command.replace, undoes: command.undoes === true });
      return configure(turn, command.asker, command.replace);
    case "canary":
      return canary(turn, command.asker, command.percent);
    case "promote":
      return promoteCanary(turn, command.asker);
    case "abort":
      return abortCanary(turn, command.asker);
    case "reset":
      // What has completed has nothing that could be forgotten, and does not run for it.
      if (turn.state.completed === undefined) turn.eachInstance(unhindered);
      turn.clear("triggers");
      return turn.answer([command.asker], "done");
  }
}

function start(turn: Turn, asker: number): void {
  const { job, instances, desired } = turn.state;
  const allReady = instances.every(({ current }) => current?.state.phase === "ready");
  const isActive = turn.state.completed !== undefined && turn.policy.remainAfterExit === true;
  const stays = turn.state.lingers === undefined;
  if (desired === "started" && stays && (allReady || isActive)) return turn.answer([asker], "unchanged");
  const askers = job?.kind === "start" ? [...job.askers, asker] : [asker];
  if (job?.kind !== "start") turn.endJob("superseded");
  if (desired === "stopped") beginAwaiting(turn);
  stayOrReturn(turn);
  turn.set({ desired: "started" });
  turn.beginJob("start", askers);
  turn.eachInstance((instance) => ({ ...unhindered(instance), called: true }));
  letOverlap(turn);
  for (const { current, successor } of turn.state.instances) {
    if (current === undefined || successor !== undefined) continue;
    const { phase } = current.state;
    if (phase === "armed") turn.take(stepWorker(current, { type: "launch" }, turn.at, turn.policy));
    // It has failed already, before this command: it must not count as the command's own failure.
    if (LEAVING.has(phase)) turn.retire(current, false);
  }
}

/** What a stop has left draining gets nothing new, so another worker may serve meanwhile; unless the operator lets no two run at all. */
function letOverlap(turn: Turn): void {
  if (turn.policy.rollout.surge === 0) return;
  for (const worker of turn.state.retiring) {
    if (worker.state.phase !== "draining" || worker.drain?.valve === undefined) continue;
    turn.take(stepWorker(worker, { type: "retire", overlaps: true }, turn.at, turn.policy));
  }
}

function stop(turn: Turn, asker: number, withinMs?: number): void {
  const { job, desired } = turn.state;
  const askers = job?.kind === "stop" ? [...job.askers, asker] : [asker];
  if (desired === "stopped" && job?.kind !== "stop") return turn.answer(askers, "unchanged");
  if (job?.kind !== "stop") turn.endJob("superseded");
  turn.set({ desired: "stopped" });
  turn.clear("canary");
  turn.beginJob("stop", askers);
  turn.clear("awaits", "completed", "again", "before", "alarm");
  leave(turn, { next: "stop", ...(withinMs === undefined ? {} : { withinMs }) });
  turn.eachInstance((instance) => ({ ...unhindered(instance), called: false }));
}

function restart(turn: Turn, asker: number): void {
  turn.endJob("superseded");
  // A successor of an earlier restart may be of an older version already: it makes room for a new one.
  for (const { successor } of turn.state.instances) if (successor) turn.retire(successor, false);
  turn.clear("canary");
  turn.beginJob("restart", [asker]);
  turn.set({ rollout: { pending: turn.state.instances.map(({ slot }) => slot), active: [] } });
}

function restartHard(turn: Turn, asker: number): void {
  turn.endJob("superseded");
  turn.clear("canary");
  turn.beginJob("restart-hard", [asker]);
  leave(turn, { next: "restart", withinMs: 0 });
}

/** A run under way is stopped first. */
function restartTask(turn: Turn, asker: number): void {
  if (turn.state.instances.some(({ current }) => current !== undefined)) return restartHard(turn, asker);
  turn.clear("completed");
  start(turn, asker);
}

function scale(turn: Turn, asker: number, size: number): void {
  const { job, instances, desired } = turn.state;
  if (size === turn.state.size) {
    if (job?.kind !== "scale") return turn.answer([asker], "unchanged");
    return turn.set({ job: { ...job, askers: [...job.askers, asker] } });
  }
  const begins = desired === "started" && turn.state.awaits === undefined;
  if (begins) turn.endJob("superseded");
  for (const { slot, current, successor } of instances) {
    if (slot <= size) continue;
    if (successor) turn.retire(successor, false);
    if (current) turn.retire(current, false);
  }
  const called = instances.some((instance) => instance.called);
  const kept = turn.state.instances.filter(({ slot }) => slot <= size);
  const added = range(size)
    .slice(instances.length)
    .map((slot) => ({ ...newInstance(slot), called }));
  turn.set({ size, instances: [...kept, ...added] });
  if (begins) return turn.beginJob("scale", [asker]);
  turn.answer([asker], "done"); // What is in progress goes on, and the next start has the new size.
}

/**
 * Another configuration is in force. What runs with the one before is replaced, the successor first, and what waits with it is made anew; an
 * instance that nothing runs in is tried again at once, because what it failed with may have been what has changed.
 */
function configure(turn: Turn, asker: number, replace: boolean): void {
  if (turn.state.desired === "stopped" || turn.state.awaits !== undefined) return turn.answer([asker], "done");
  const isStale = turn.workers().some(({ worker, role }) => role !== "retiring" && turn.isStale(worker));
  // With an activation to wait for, no instance is halted for good.
  if (turn.onDemand)
    turn.eachInstance((instance) => (instance.halted ? { ...instance, halted: false, called: false } : instance));
  const tried = turn.state.canary?.slot;
  turn.clear("canary");
  for (const { slot, current, successor } of turn.state.instances) {
    if (successor !== undefined && (turn.isStale(successor) || slot === tried)) turn.retire(successor, false);
    if (current?.state.phase !== "armed" && current?.state.phase !== "disarming") continue;
    if (turn.isStale(current)) turn.retire(current, false);
  }
  // The canary that was on its way is none any more.
  if (turn.state.job?.kind === "canary") turn.endJob("superseded");
  if (!isStale && !replace) return turn.answer([asker], "done");
  turn.endJob("superseded");
  const pending = turn.state.instances.filter((instance) =>
    instance.current === undefined ? replace && hindered(instance) : turn.isStale(instance.current),
  );
  turn.beginJob("restart", [asker]);
  turn.set({ rollout: { pending: pending.map(({ slot }) => slot), active: [] } });
}

/** One successor beside the first instance's worker, which takes a share of what is new and nothing over. */
function canary(turn: Turn, asker: number, percent: number): void {
  const { canary: tried, desired, instances } = turn.state;
  const [first] = instances;
  if (desired === "stopped" || first?.current?.state.phase !== "ready") return turn.answer([asker], "not-ready");
  if (tried !== undefined && first.successor?.state.phase === "ready") {
    turn.set({ canary: { ...tried, percent } });
    return turn.answer([asker], "done");
  }
  turn.endJob("superseded");
  for (const { successor } of instances) if (successor) turn.retire(successor, false);
  turn.beginJob("canary", [asker]);
  turn.set({
    canary: { slot: first.slot, percent },
    rollout: { pending: [], active: [{ slot: first.slot, old: first.current.id, first: "successor" }] },
  });
}

/** The canary takes its instance over, and the others follow as in any rolling restart. */
function promoteCanary(turn: Turn, asker: number): void {
  const tried = turn.instance(turn.state.canary?.slot ?? 0);
  if (tried?.successor?.state.phase !== "ready") return turn.answer([asker], "unchanged");
  turn.endJob("superseded");
  turn.clear("canary");
  turn.beginJob("restart", [asker]);
  const { successor } = tried;
  turn.note((receipt) => withReady(receipt, successor));
  handOver(turn, successor);
  const pending = turn.state.instances.map(({ slot }) => slot).filter((slot) => slot !== tried.slot);
  turn.set({ rollout: { pending, active: [] } });
}

function abortCanary(turn: Turn, asker: number): void {
  const tried = turn.instance(turn.state.canary?.slot ?? 0)?.successor;
  if (tried === undefined) return turn.answer([asker], "unchanged");
  turn.endJob("superseded");
  turn.clear("canary");
  turn.beginJob("abort", [asker]);
  turn.retire(tried, true);
}

function hindered({ halted, wait }: Instance): boolean {
  return halted || wait !== undefined;
}
