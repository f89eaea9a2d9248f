/**
 * One service: its instances, their workers, and the command in progress, as a pure function.
 *
 * An event changes what is known (`absorb`), then `advance` compares it with what is wanted and asks for the difference.
 * So whatever order the facts arrive in, the same knowledge leads to the same next step:
 *
 *   - an instance without a worker gets one, unless the policy, the start limit, the backoff or an old worker of the same
 *     instance stands in the way;
 *   - with `start = "connection"` and nothing running, the keeper is asked to start the first worker when there is work;
 *   - during a rolling restart one instance at a time has a successor; once that is ready it becomes the current worker and
 *     the predecessor retires; if it fails, the predecessor stays and the restart ends as `rolled-back`.
 */

import { advance } from "./advance.js";
import { commandService } from "./commands.js";
import { classify, wantsRestart } from "./end.js";
import { nextStart } from "./restart-policy.js";
import {
  countTrigger,
  type Failure,
  type Instance,
  type Moment,
  type ServiceEvent,
  type ServiceState,
  type ServiceStep,
  without,
} from "./service-state.js";
import { Turn } from "./turn.js";
import { stepWorker, type Worker, type WorkerEvent } from "./worker.js";

export function stepService(state: ServiceState, event: ServiceEvent, moment: Moment): ServiceStep {
  const turn = new Turn(state, moment);
  absorb(turn, event);
  advance(turn);
  return turn.end();
}

function absorb(turn: Turn, event: ServiceEvent): void {
  switch (event.type) {
    case "boot":
      turn.set({ desired: turn.policy.start === "manual" ? "stopped" : "started" });
      if (turn.policy.start === "boot") turn.eachInstance((instance) => ({ ...instance, called: true }));
      return;
    case "blocked":
      return turn.set({ blocked: true });
    case "unblocked":
      return turn.set({ blocked: false });
    case "start":
    case "stop":
    case "restart":
    case "scale":
    case "configure":
    case "reset":
      return commandService(turn, event);
    case "worker":
      return workerEvent(turn, event.worker, event.event, event.lines ?? []);
    case "deadline":
      turn.expireWaits();
      for (const { worker } of turn.workers()) workerEvent(turn, worker.id, { type: "deadline" }, []);
      return;
  }
}

function workerEvent(turn: Turn, id: number, event: WorkerEvent, lines: readonly string[]): void {
  const found = turn.workers().find(({ worker }) => worker.id === id);
  if (found === undefined) return; // An echo of a worker that was acknowledged and forgotten.
  const before = found.worker;
  const worker = turn.take(stepWorker(before, event, turn.at, turn.policy));
  if (before.state.phase === "armed" && worker.state.phase !== "armed") {
    // The keeper fired it. A short life is told by its end alone, so `started` is not the only sign.
    turn.eachInstance((instance) => ({ ...instance, called: true }));
    turn.set({ triggers: countTrigger(turn.state.triggers, turn.at) });
  }
  if (worker.state.phase === "gone") return ended(turn, worker, found.role, lines);
  if (worker.state.phase === "ready" && before.state.phase !== "ready" && found.role === "successor") {
    promote(turn, worker);
  }
}

/** Handover: the successor is ready, so it is the current worker from now on, and the one before retires. */
function promote(turn: Turn, successor: Worker): void {
  const instance = turn.instance(successor.slot);
  if (instance === undefined) return;
  const predecessor = instance.current;
  turn.setInstance({
    ...without(instance, "successor", "current"),
    current: successor,
    restarts: instance.restarts + 1,
  });
  if (predecessor !== undefined) turn.retire(predecessor, true);
}

function ended(turn: Turn, worker: Worker, role: "current" | "successor" | "retiring", lines: readonly string[]): void {
  if (worker.state.phase !== "gone") return;
  const { end } = worker.state;
  const failed = worker.reason !== "asked" && classify(end, worker.reason) !== "clean";
  const failure = failureOf(worker, turn.at, lines);
  if (failed) turn.set({ lastFailure: failure });
  switch (role) {
    case "retiring":
      return turn.set({ retiring: turn.state.retiring.filter(({ id }) => id !== worker.id) });
    case "successor":
      turn.setInstance(without(turn.instance(worker.slot)!, "successor"));
      turn.set({ lastFailure: failure });
      turn.report({ type: "rolled-back", slot: worker.slot, worker: worker.id });
      // A later command may have superseded the restart and does not depend on what that had begun.
      if (turn.state.job?.kind === "restart") turn.endJob("rolled-back", failure);
      return;
    case "current":
      return currentEnded(turn, worker, failed, failure);
  }
}

function currentEnded(turn: Turn, worker: Worker, failed: boolean, failure: Failure): void {
  const { successor, ...idle } = without(turn.instance(worker.slot)!, "current");
  if (successor !== undefined) {
    // It was on the way already and is now what the instance has.
    return turn.setInstance({ ...idle, current: successor, restarts: idle.restarts + 1 });
  }
  if (failure.end.kind === "disarmed") return turn.setInstance(idle); // To make room for one that starts now.
  if (turn.onDemand && !failed) return turn.setInstance({ ...idle, called: false });
  if (wantsRestart(turn.policy.restart, failure.end, worker.reason)) {
    delayRestart(turn, idle, worker);
  } else if (turn.onDemand) {
    turn.setInstance({ ...idle, called: false });
  } else {
    turn.setInstance({ ...idle, halted: true });
    turn.report({ type: "halted", slot: worker.slot, end: failure.end });
  }
  // A command that waits for this instance learns the reason now; the automatic starts go on without it.
  if (worker.readyAt === undefined && jobWaitsFor(turn, worker.slot)) turn.endJob("failed", failure);
}

function delayRestart(turn: Turn, idle: Instance, worker: Worker): void {
  const ranReadyMs = worker.readyAt === undefined ? undefined : turn.at - worker.readyAt;
  const next = nextStart(idle.history, ranReadyMs, turn.at, turn.policy.restart, turn.moment.random);
  const instance = { ...idle, restarts: idle.restarts + 1, history: next.history };
  if (next.why === "now") return turn.setInstance(instance);
  turn.setInstance({ ...instance, wait: { until: next.at, why: next.why } });
  turn.report({ type: "start-delayed", slot: worker.slot, until: next.at, why: next.why });
}

/** A rolling restart depends on the instance in hand alone. (During a stop every worker is a retiring one.) */
function jobWaitsFor(turn: Turn, slot: number): boolean {
  const { job, rollout } = turn.state;
  return job?.kind !== "restart" || rollout?.active?.slot === slot;
}

function failureOf(worker: Worker, at: number, lines: readonly string[]): Failure {
  if (worker.state.phase !== "gone") throw new Error("only a worker that is gone has failed");
  const { end } = worker.state;
  return { at, slot: worker.slot, worker: worker.id, code: codeOf(worker, end.kind), end, lines };
}

function codeOf(worker: Worker, kind: string): Failure["code"] {
  if (worker.reason === "ready-timeout") return "ready-timeout";
  if (kind === "not-started") return "start-failed";
  if (kind === "signalled") return "killed";
  return kind === "unknown" ? "lost" : "exited";
}
