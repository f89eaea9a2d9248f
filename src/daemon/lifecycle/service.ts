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
 *     the predecessor retires; if it fails, the predecessor stays and the restart ends as `rolled-back`;
 *   - with connections that wait in a lane where nobody comes, an instance that serves gets a successor there;
 *   - an instance whose worker is unhealthy gets a successor, if `health.action` says so;
 *   - and so does one whose worker has run for `run_limit`;
 *   - or it gets no new connections until it is healthy again, unless it is the last one that serves (who-serves.ts).
 */

import type { ServiceConfig } from "../config/config.js";
import { advance, laneOf } from "./advance.js";
import { beginAwaiting, departIfOver, orderEvent } from "./awaiting.js";
import { commandService } from "./commands.js";
import { classify, isWanted, wantsRestart } from "./end.js";
import { handOver } from "./handover.js";
import { withReadiness, withReady, withRetired } from "./receipt.js";
import { nextStart } from "./restart-policy.js";
import {
  countTrigger,
  type Failure,
  type Instance,
  type Moment,
  type ServiceEvent,
  type ServiceState,
  type ServiceStep,
  unhindered,
  without,
} from "./service-state.js";
import { complete, hasCompleted, isTask, wantsTaskAgain } from "./task.js";
import { Turn } from "./turn.js";
import { stepWorker, type Worker, type WorkerEvent } from "./worker.js";

export function stepService(state: ServiceState, event: ServiceEvent, moment: Moment): ServiceStep {
  const turn = new Turn(state, moment);
  absorb(turn, event);
  departIfOver(turn);
  turn.note((receipt) => withReadiness(receipt, turn.state, turn.at));
  advance(turn);
  return turn.end();
}

function absorb(turn: Turn, event: ServiceEvent): void {
  switch (event.type) {
    case "boot":
      turn.set({ desired: turn.policy.start === "manual" ? "stopped" : "started" });
      if (turn.state.desired === "started") beginAwaiting(turn);
      if (turn.policy.start === "boot") turn.eachInstance((instance) => ({ ...instance, called: true }));
      return;
    case "blocked":
      return block(turn);
    case "unblocked":
      return turn.set({ blocked: false });
    case "release":
    case "wait-for":
    case "hold":
    case "depart":
    case "alarm-heard":
      return orderEvent(turn, event);
    case "start":
    case "stop":
    case "restart":
    case "scale":
    case "configure":
    case "reset":
    case "canary":
    case "promote":
    case "abort":
      return commandService(turn, event);
    case "idle":
      return rest(turn);
    case "stranded":
      return turn.strand(event.lane);
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
  if (event.type === "forgive" && found.role === "current") {
    const instance = turn.instance(worker.slot)!;
    turn.setInstance({ ...instance, history: { ...instance.history, failures: 0 } });
  }
  if (before.state.phase === "armed" && worker.state.phase !== "armed") {
    // The keeper fired it. A short life is told by its end alone, so `started` is not the only sign.
    turn.eachInstance((instance) => ({ ...instance, called: true }));
    turn.set({ triggers: countTrigger(turn.state.triggers, turn.at) });
  }
  if (worker.state.phase === "gone") return ended(turn, worker, found.role, lines);
  if (worker.state.phase !== "ready" || before.state.phase === "ready") return;
  // Somebody came while it was taken for idle: then the others are wanted as well.
  if (before.state.phase === "draining") return awake(turn, worker);
  turn.note((receipt) => withReady(receipt, worker));
  if (found.role !== "successor") return;
  if (turn.state.canary?.slot !== worker.slot) return handOver(turn, worker);
  turn.report({ type: "canary-ready", slot: worker.slot, worker: worker.id });
}

/** Nothing may be started: not by a connection either. */
function block(turn: Turn): void {
  turn.set({ blocked: true });
  for (const { worker, role } of turn.workers()) {
    const { phase } = worker.state;
    if (role !== "retiring" && (phase === "armed" || phase === "preparing")) turn.retire(worker, false);
  }
}

/** It was taken for idle and was not: all instances are wanted, and what came meanwhile waits in another lane than its own. */
function awake(turn: Turn, worker: Worker): void {
  turn.eachInstance((instance) => ({
    ...instance,
    ...(instance.slot === worker.slot ? laneOf(worker) : {}),
    called: true,
  }));
}

/** Nobody has been connected for long: each ready worker ends, unless somebody is by the time its valve is closed. */
function rest(turn: Turn): void {
  if (!turn.onDemand || turn.state.job !== undefined || turn.state.blocked) return;
  for (const { current } of turn.state.instances) {
    if (current?.state.phase === "ready") turn.take(stepWorker(current, { type: "idle" }, turn.at, turn.policy));
  }
}

function ended(turn: Turn, worker: Worker, role: "current" | "successor" | "retiring", lines: readonly string[]): void {
  if (worker.state.phase !== "gone") return;
  const { end } = worker.state;
  const isWell = isTask(turn.policy)
    ? hasCompleted(end, worker.reason, turn.policy.restart)
    : classify(end, worker.reason, turn.policy.restart) === "clean";
  const failed = !isWanted(worker.reason) && !isWell;
  const failure = failureOf(worker, turn.at, lines);
  if (failed || (failure.unready === true && !isWanted(worker.reason) && saysReady(turn.policy)))
    turn.set({ lastFailure: failure });
  switch (role) {
    case "retiring":
      turn.note((receipt) => withRetired(receipt, worker));
      return turn.set({ retiring: turn.state.retiring.filter(({ id }) => id !== worker.id) });
    case "successor":
      return successorEnded(turn, worker, failure);
    case "current":
      return currentEnded(turn, worker, failed, failure);
  }
}

function successorEnded(turn: Turn, worker: Worker, failure: Failure): void {
  const { slot } = worker;
  const { job, canary } = turn.state;
  const alone = without(turn.instance(slot)!, "successor");
  turn.setInstance(alone);
  turn.set({ lastFailure: failure });
  turn.report({ type: "rolled-back", slot, worker: worker.id });
  if (canary?.slot === slot) turn.clear("canary");
  // So will the next one, but not at once.
  if (worker.unasked) spaceStart(turn, alone, worker);
  // A later command may have superseded the restart and does not depend on what that had begun.
  if (job?.kind !== "restart" && job?.kind !== "canary") return;
  turn.endJob("rolled-back", failure);
  for (const { successor } of turn.state.instances) if (successor) turn.retire(successor, false);
}

function currentEnded(turn: Turn, worker: Worker, failed: boolean, failure: Failure): void {
  const { successor, ...idle } = without(turn.instance(worker.slot)!, "current", "wait");
  if (turn.state.canary?.slot === worker.slot) {
    // There is nothing left beside which it could be tried.
    turn.clear("canary");
    if (turn.state.job?.kind === "canary") turn.endJob("not-ready");
  }
  if (successor !== undefined) {
    // It was on the way already and is now what the instance has, canary or not.
    return turn.setInstance({ ...idle, ...laneOf(successor), current: successor, restarts: idle.restarts + 1 });
  }
  if (isTask(turn.policy) && turn.state.again === true) {
    turn.clear("again");
    return turn.setInstance(unhindered(idle));
  }
  if (isTask(turn.policy) && hasCompleted(failure.end, worker.reason, turn.policy.restart))
    return complete(turn, idle, worker);
  if (failure.end.kind === "disarmed") return turn.setInstance(idle); // To make room for one that starts now.
  // It was to end anyway, once others have: what comes after it begins then, and nothing stands in its way.
  if (turn.state.lingers?.next === "restart") return turn.setInstance(idle);
  if (turn.onDemand && !failed) {
    // Where another instance was kept by a connection, this one is wanted as well.
    const others = turn.state.instances.some(({ current }) => current?.state.phase === "ready");
    return turn.setInstance({ ...idle, called: worker.reason === "idle" && others });
  }
  const wants = isTask(turn.policy) ? wantsTaskAgain : wantsRestart;
  if (wants(turn.policy.restart, failure.end, worker.reason)) {
    spaceStart(turn, { ...idle, restarts: idle.restarts + 1 }, worker);
  } else if (turn.onDemand) {
    turn.setInstance({ ...idle, called: false });
  } else {
    turn.setInstance({ ...idle, halted: true });
    turn.report({ type: "halted", slot: worker.slot, end: failure.end });
  }
  if (failed) alarm(turn, worker.slot);
  // A command that waits for this instance learns the reason now; the automatic starts go on without it.
  if (worker.readyAt === undefined && jobWaitsFor(turn, worker.slot)) turn.endJob("failed", failure);
}

/** Nothing of it runs, and nothing will before long. */
function alarm(turn: Turn, slot: number): void {
  if (turn.policy.onFailure === undefined || turn.state.desired === "stopped") return;
  const instance = turn.instance(slot);
  const isOver = instance?.halted === true || instance?.wait?.why === "start-limit";
  if (isOver && turn.state.instances.every(({ current }) => current === undefined)) turn.set({ alarm: true });
}

/** Its last worker has ended by itself, so the next start is an automatic one: at once, or later. */
function spaceStart(turn: Turn, instance: Instance, last: Worker): void {
  const ranReadyMs = last.readyAt === undefined ? undefined : turn.at - last.readyAt;
  const { history, at, why } = nextStart(
    instance.history,
    ranReadyMs,
    turn.at,
    turn.policy.restart,
    turn.moment.random,
  );
  if (why === "now") turn.setInstance({ ...instance, history });
  else turn.delayStart({ ...instance, history }, { until: at, why });
}

/** Which commands depend on what this instance's worker becomes. (During a stop every worker is a retiring one.) */
function jobWaitsFor(turn: Turn, slot: number): boolean {
  const { job, rollout } = turn.state;
  switch (job?.kind) {
    case "start":
    case "scale":
    case "restart-hard":
      return true;
    case "restart":
    case "canary":
      return rollout?.active.some((one) => one.slot === slot) === true;
    case "stop":
    case "abort":
    case undefined:
      return false;
  }
}

/** Its status of 0 alone is no success: it had a word to say before, or a file to write. */
function saysReady({ type, ready, pidFile }: ServiceConfig): boolean {
  return type !== "task" && (ready.when === "notify" || ready.when === "newline" || pidFile !== undefined);
}

function failureOf(worker: Worker, at: number, lines: readonly string[]): Failure {
  if (worker.state.phase !== "gone") throw new Error("only a worker that is gone has failed");
  const { end } = worker.state;
  const unready = end.kind === "exited" && end.code === 0 && worker.readyAt === undefined;
  const code = codeOf(worker, end.kind);
  return { at, slot: worker.slot, worker: worker.id, code, end, lines, ...(unready ? { unready: true } : {}) };
}

function codeOf(worker: Worker, kind: string): Failure["code"] {
  const { reason } = worker;
  if (reason === "ready-timeout" || reason === "watchdog" || reason === "run-limit") return reason;
  if (worker.reason === "hook") return "start-failed";
  if (kind === "not-started") return "start-failed";
  if (kind === "signalled") return "killed";
  return kind === "unknown" ? "lost" : "exited";
}
