/**
 * The life of one worker, from the request to start it until no process of its tree is left, as a pure function.
 * (With `stop.kill = "process"`: until its own process has ended.)
 *
 *   armed ──launch, retire──> disarming ──disarmed in time──> gone   (a launch goes on with another worker)
 *   armed, disarming ──started──> warming                            (the keeper fired it first)
 *   starting ──started──> warming ──announced, or settled──> ready   (unobservable: settles instead)
 *   starting, warming ──deadline──> killing                          (ready timeout)
 *   starting, warming ──retire──> stopping
 *   ready ──retire, idle──> draining ──nothing in flight, no valve, or deadline──> stopping ──deadline──> killing
 *   draining for being idle ──a connection came──> ready
 *   disarming to its end ──started──> stopping                       (it fired in spite of that)
 *   ready ──aside──> ready, without new connections                  (aside.ts)
 *   ready ──leaving──> stopping by itself ──retire──> stopping       (STOPPING=1: no signal unless it is asked to stop as well)
 *   starting, warming, ready, draining ──unwell──> aborting          (stopping, with SIGABRT in place of the stop signal)
 *   ready, draining ──watchdog missed──> aborting
 *   all but sweeping, gone ──exited──> sweeping ──gone──> gone
 *   armed, disarming, starting, stopping, killing ──start-failed──> gone
 *
 * Where it has hooks there are phases in which it waits for them, in hooked.ts: preparing before starting, confirming before ready, parting before
 * stopping (of one that was ready), clearing before gone (of one that was to be started).
 *
 * `started` with another pid than before: it has named another process as its main one (MAINPID), and the keeper watches that now. No phase changes by it.
 *
 * The worker itself may move a deadline that it is under, but only to later (`extend`); its watchdog is in watchdog.ts, and how long it may run in
 * run-limit.ts. Once that is over and nobody takes over (`expire`): ready ──> draining, warming (a task) ──> stopping.
 *
 * In sweeping the process is dead, and what it left behind gets a signal: SIGKILL at once after an end of its own or a
 * ready timeout or an abort, or where the policy says so; the stop signal first, and SIGKILL at the deadline of the stop, after one that was asked for.
 * With `stop.kill = "process"` it gets nothing, whatever the end, and is none of the worker's any more.
 *
 * While it drains no new connection reaches it: what can keep them away is found out first (`valve`), so that the state knows how to undo
 * it, and closed then; the stop signal follows once none of its connections is in flight. Where nothing can, it gets the signal at once.
 *
 * A deadline is a field of the state, not a timer: the runtime asks for the earliest one and sends `deadline` once it
 * has passed, so there is nothing to cancel and a late timer does no harm. A worker counts as ended when the kernel
 * said so and its tree was seen to be empty, never because a signal was sent. Events that a phase has no use for change
 * nothing: after an adoption the keeper tells again what the supervisor before had heard already.
 */
import { asideValve, isAside, turnAside } from "./aside.js";
import type { Monotonic } from "./end.js";
import { stepHooked } from "./hooked.js";
import { runLimitDue } from "./run-limit.js";
import { abort, changeWatchdog, feed, isSilent, watchdogDue } from "./watchdog.js";
import {
  asked,
  chain,
  connections,
  counts,
  drainTimeout,
  exited,
  expire,
  extend,
  health,
  heardEarly,
  isOther,
  kill,
  leave,
  moved,
  neverRan,
  notReady,
  over,
  ready,
  reopened,
  rest,
  retire,
  retireAgain,
  same,
  started,
  stop,
  to,
  unobservable,
  valveFound,
} from "./worker-moves.js";
import type { Worker, WorkerEvent, WorkerPolicy, WorkerStep } from "./worker-state.js";

export { resumeWorker } from "./adoption.js";
export { armWorker, spawnWorker, stopSignalOf } from "./worker-moves.js";
export type * from "./worker-state.js";

export function stepWorker(worker: Worker, event: WorkerEvent, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const now = worker.state;
  if (event.type === "exited") return exited(worker, event.end, at, policy);
  if (event.type === "extend") return extend(worker, event.byMs, at);
  if (event.type === "expire") return expire(worker, at, policy);
  if (event.type === "aside") return turnAside(worker, event, at);
  if (event.type === "alive") return feed(worker, at);
  if (event.type === "forgive") return same(worker); // Its instance's matter.
  if (event.type === "watchdog") return changeWatchdog(worker, event.everyMs, at);
  if (event.type === "health") return health(worker, event.ok);
  if (event.type === "started" && isOther(worker, event.pid)) return moved(worker, event.pid, policy);
  switch (now.phase) {
    case "preparing":
    case "confirming":
    case "parting":
    case "clearing":
      return stepHooked(worker, now, event, { at, policy });
    case "armed":
      switch (event.type) {
        case "started":
          return started(worker, event.pid, event.at, at, policy);
        case "start-failed":
          return neverRan(worker, event.stage, event.errno, policy);
        case "launch":
          return to(worker, { phase: "disarming", next: "launch" }, [{ type: "disarm", worker: worker.id }]);
        case "retire":
          return to(asked(worker, event.overlaps), { phase: "disarming", next: "end" }, [
            { type: "disarm", worker: worker.id },
          ]);
        case "announced":
          return heardEarly(worker, event.by, policy);
        case "leaving":
        case "unwell":
        case "hooks":
        case "idle":
        case "valve":
        case "connections":
        case "reopened":
        case "disarmed":
        case "unobservable":
        case "gone":
        case "deadline":
          return same(worker);
      }
      break;
    case "disarming":
      switch (event.type) {
        case "disarmed":
          if (!event.inTime) return same(worker); // It fired first: `started` or `start-failed` is on its way.
          return to(worker, { phase: "gone", end: { kind: "disarmed" } }, [], ["ended"]);
        case "started": {
          const step = started(worker, event.pid, event.at, at, policy);
          return now.next === "launch" ? step : chain(step, (w) => stop(w, at, policy));
        }
        case "start-failed":
          return neverRan(worker, event.stage, event.errno, policy);
        case "retire":
          return to(asked(worker, event.overlaps), { phase: "disarming", next: "end" });
        case "announced":
          return heardEarly(worker, event.by, policy);
        case "leaving":
        case "unwell":
        case "hooks":
        case "idle":
        case "valve":
        case "connections":
        case "reopened":
        case "launch":
        case "unobservable":
        case "gone":
        case "deadline":
          return same(worker);
      }
      break;
    case "starting":
      switch (event.type) {
        case "started":
          return started(worker, event.pid, event.at, at, policy);
        case "start-failed":
          return neverRan(worker, event.stage, event.errno, policy);
        case "retire":
          return stop(asked(worker, event.overlaps), at, policy);
        case "deadline":
          return at >= now.deadline ? notReady(worker, policy) : same(worker);
        case "unwell":
          return abort(worker, at, policy);
        case "announced":
          return heardEarly(worker, event.by, policy);
        case "leaving":
        case "hooks":
        case "idle":
        case "valve":
        case "connections":
        case "reopened":
        case "launch":
        case "disarmed":
        case "unobservable":
        case "gone":
          return same(worker);
      }
      break;
    case "warming":
      switch (event.type) {
        case "announced":
          return counts(event.by, policy) ? ready(worker, at, policy) : same(worker);
        case "unobservable":
          return unobservable(worker, now.deadline, at, policy);
        case "retire":
          return stop(asked(worker, event.overlaps), at, policy);
        case "unwell":
          return abort(worker, at, policy);
        case "deadline":
          if (now.settled !== undefined && at >= now.settled) return ready(worker, at, policy);
          return at >= now.deadline ? notReady(worker, policy) : same(worker);
        case "started": // Told again after an adoption.
        case "start-failed":
        case "leaving": // It is not up yet; its end tells the rest.
        case "hooks":
        case "idle":
        case "valve":
        case "connections":
        case "reopened":
        case "launch":
        case "disarmed":
        case "gone":
          return same(worker);
      }
      break;
    case "ready":
      switch (event.type) {
        case "retire":
          return retire(worker, event, at, policy);
        case "leaving":
          return leave(worker, at, policy);
        case "unwell":
          return abort(worker, at, policy);
        case "deadline":
          return isSilent(worker, at) ? abort(worker, at, policy) : same(worker);
        case "idle":
          return rest(worker, at, policy);
        case "reopened":
          return isAside(worker) ? same(worker) : reopened(worker);
        case "valve":
          return asideValve(worker, event.valve);
        case "announced": // sd_notify(3) lets a service say READY=1 again after a reload.
        case "started":
        case "start-failed":
        case "launch":
        case "disarmed":
        case "hooks":
        case "unobservable":
        case "connections":
        case "gone":
          return same(worker);
      }
      break;
    case "draining":
      switch (event.type) {
        case "valve":
          return valveFound(worker, event.valve, at, policy);
        case "connections":
          return connections(worker, event, at, policy);
        case "retire":
          return retireAgain(worker, event, now, at);
        case "unwell":
          return abort(worker, at, policy);
        case "deadline":
          if (isSilent(worker, at)) return abort(worker, at, policy);
          return at >= now.deadline ? drainTimeout(worker, now, at, policy) : same(worker);
        case "leaving": // It gets its signal all the same, once nothing is in flight.
        case "announced":
        case "started":
        case "start-failed":
        case "launch":
        case "disarmed":
        case "unobservable":
        case "hooks":
        case "idle":
        case "reopened":
        case "gone":
          return same(worker);
      }
      break;
    case "stopping":
      switch (event.type) {
        case "deadline":
          if (at < now.deadline) return same(worker);
          return to({ ...worker, forced: true }, { phase: "killing" }, [kill(worker, policy)], ["stop-timeout"]);
        case "start-failed": // It was told to stop between fork and exec.
          return neverRan(worker, event.stage, event.errno, policy);
        case "started":
          return same({ ...worker, pid: event.pid, startedAt: event.at });
        case "retire": // One that ends by itself is asked now; the others were.
          return now.instead === "nothing" ? stop(asked(worker, event.overlaps), at, policy) : same(worker);
        case "announced": // Too late: a promise to stop is never taken back.
        case "leaving":
        case "unwell":
        case "hooks":
        case "idle":
        case "valve":
        case "connections":
        case "reopened":
        case "launch":
        case "disarmed":
        case "unobservable":
        case "gone":
          return same(worker);
      }
      break;
    case "killing":
      switch (event.type) {
        case "start-failed":
          return neverRan(worker, event.stage, event.errno, policy);
        case "started":
          return same({ ...worker, pid: event.pid, startedAt: event.at });
        case "leaving":
        case "unwell":
        case "announced":
        case "retire":
        case "hooks":
        case "idle":
        case "valve":
        case "connections":
        case "reopened":
        case "launch":
        case "disarmed":
        case "unobservable":
        case "gone":
        case "deadline":
          return same(worker);
      }
      break;
    case "sweeping":
      switch (event.type) {
        case "gone":
          return over(worker, now.end, policy, event.left);
        case "deadline":
          if (now.deadline === undefined || at < now.deadline) return same(worker);
          return to(
            { ...worker, forced: true },
            { phase: "sweeping", end: now.end },
            [{ type: "sweep", worker: worker.id, signal: "SIGKILL" }],
            ["stop-timeout"],
          );
        case "retire": // It ended before it was asked to, so that is not the reason.
          return same(event.overlaps ? { ...worker, overlaps: true } : worker);
        case "started":
        case "start-failed":
        case "leaving":
        case "unwell":
        case "announced":
        case "unobservable":
        case "hooks":
        case "idle":
        case "valve":
        case "connections":
        case "reopened":
        case "launch":
        case "disarmed":
          return same(worker);
      }
      break;
    case "gone":
      return same(worker);
  }
}

/** The earliest time at which `deadline` must be sent; undefined = none. */
export function workerDeadline(worker: Worker): Monotonic | undefined {
  switch (worker.state.phase) {
    case "warming":
      return sooner(worker.state.settled ?? worker.state.deadline, runLimitDue(worker));
    case "draining":
      return sooner(worker.state.deadline, watchdogDue(worker));
    case "ready":
      return sooner(watchdogDue(worker), runLimitDue(worker));
    case "starting":
    case "stopping":
    case "sweeping":
      return worker.state.deadline;
    case "armed":
    case "disarming":
    case "preparing": // The time for a hook is counted where it runs.
    case "confirming":
    case "parting":
    case "killing":
    case "clearing":
    case "gone":
      return undefined;
  }
}

function sooner(one: Monotonic | undefined, other: Monotonic | undefined): Monotonic | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
