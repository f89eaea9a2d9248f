/**
 * The life of one worker, from the request to start it until no process of its tree is left, as a pure function.
 *
 *   armed ──launch/retire──> disarming ──> starting or gone
 *   armed ──(trigger)──> warming
 *   starting ──started──> warming ──ready──> ready
 *   starting, warming ──deadline──> killing            (ready timeout)
 *   starting, warming, ready ──retire──> stopping ──deadline──> killing
 *   any of them ──exited──> sweeping ──gone──> gone
 *   starting, armed ──start-failed──> gone
 *
 * A deadline is a field of the state, not a timer: the runtime asks for the earliest one and sends `deadline` once it
 * has passed, so there is nothing to cancel and a late timer does no harm. A worker counts as ended when the kernel
 * said so and its tree was seen to be empty, never because a signal was sent.
 */
import type { ServiceConfig } from "../config/config.js";
import type { End, Monotonic, StopReason } from "./end.js";

export interface Worker {
  /** Never reused within its service. */
  readonly id: number;
  /** The instance it runs in, from 1. */
  readonly slot: number;
  readonly state: WorkerState;
  readonly pid?: number;
  readonly startedAt?: Monotonic;
  readonly readyAt?: Monotonic;
  readonly reason?: StopReason;
  /** SIGKILL was needed: the stop or ready timeout passed. */
  readonly forced?: true;
  /** It retires because its successor is ready, so the two may run side by side. */
  readonly overlaps?: true;
}

export type WorkerState =
  | { readonly phase: "armed" }
  | { readonly phase: "disarming"; readonly next: "launch" | "end" }
  | { readonly phase: "starting"; readonly deadline: Monotonic }
  | { readonly phase: "warming"; readonly deadline: Monotonic; readonly settled?: Monotonic }
  | { readonly phase: "ready" }
  | { readonly phase: "stopping"; readonly deadline: Monotonic }
  | { readonly phase: "killing" }
  | { readonly phase: "sweeping"; readonly end: End; readonly deadline?: Monotonic }
  | { readonly phase: "gone"; readonly end: End };

export type WorkerEvent =
  /** Exec succeeded. `at` is the time of the fork. */
  | { readonly type: "started"; readonly pid: number; readonly at: Monotonic }
  | { readonly type: "start-failed"; readonly stage: number; readonly errno: number }
  /** The worker itself said so: READY=1, or a line on READY_FD. */
  | { readonly type: "announced"; readonly by: "notify" | "newline" }
  | { readonly type: "launch" }
  | { readonly type: "retire"; readonly overlaps: boolean }
  /** The keeper forgot the armed start (`true`), or had already fired it. */
  | { readonly type: "disarmed"; readonly inTime: boolean }
  | { readonly type: "exited"; readonly end: End }
  /** No process of its tree is left. */
  | { readonly type: "gone" }
  | { readonly type: "deadline" };

export type WorkerEffect =
  | { readonly type: "spawn"; readonly worker: number }
  | { readonly type: "arm"; readonly worker: number }
  | { readonly type: "disarm"; readonly worker: number }
  /** To the worker's own process, by name as in the configuration. */
  | { readonly type: "signal"; readonly worker: number; readonly signal: string }
  /** SIGKILL to the process and to all that descends from it. */
  | { readonly type: "kill-tree"; readonly worker: number }
  /** Its process has ended: send this to what is left of its tree, and say `gone` once a look finds nothing. */
  | { readonly type: "sweep"; readonly worker: number; readonly signal: string }
  /** The keeper may forget it. */
  | { readonly type: "acknowledge"; readonly worker: number };

export type WorkerFact = "started" | "ready" | "ready-timeout" | "stopping" | "stop-timeout" | "ended";

export interface WorkerStep {
  readonly worker: Worker;
  readonly effects: readonly WorkerEffect[];
  readonly facts: readonly WorkerFact[];
}

export type WorkerPolicy = Pick<ServiceConfig, "ready" | "stop">;

/** A worker at the moment the keeper is asked to start it. */
export function spawnWorker(id: number, slot: number, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const worker: Worker = { id, slot, state: { phase: "starting", deadline: at + policy.ready.timeoutMs } };
  return { worker, effects: [{ type: "spawn", worker: id }], facts: [] };
}

/** A worker that the keeper starts by itself when there is work. */
export function armWorker(id: number, slot: number): WorkerStep {
  return { worker: { id, slot, state: { phase: "armed" } }, effects: [{ type: "arm", worker: id }], facts: [] };
}

export function stepWorker(worker: Worker, event: WorkerEvent, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const now = worker.state;
  if (event.type === "exited") return exited(worker, event.end, policy);
  switch (now.phase) {
    case "armed":
      switch (event.type) {
        case "started":
          return started(worker, event.pid, event.at, at, policy);
        case "start-failed":
          return neverRan(worker, event.stage, event.errno);
        case "launch":
          return to(worker, { phase: "disarming", next: "launch" }, [{ type: "disarm", worker: worker.id }]);
        case "retire":
          return to(asked(worker, event.overlaps), { phase: "disarming", next: "end" }, [
            { type: "disarm", worker: worker.id },
          ]);
        case "announced": // READY=1 overtook the news of its own start; it will be asked again by its deadline.
        case "disarmed":
        case "gone":
        case "deadline":
          return same(worker);
      }
      break;
    case "disarming":
      switch (event.type) {
        case "disarmed":
          if (!event.inTime) return same(worker); // It fired first: `started` or `start-failed` is on its way.
          return now.next === "launch"
            ? { ...spawnWorker(worker.id, worker.slot, at, policy) }
            : to(worker, { phase: "gone", end: { kind: "disarmed" } }, [], ["ended"]);
        case "started": {
          const step = started(worker, event.pid, event.at, at, policy);
          return now.next === "launch" ? step : chain(step, (w) => stop(w, at, policy));
        }
        case "start-failed":
          return neverRan(worker, event.stage, event.errno);
        case "retire":
          return to(asked(worker, event.overlaps), { phase: "disarming", next: "end" });
        case "launch":
        case "announced":
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
          return neverRan(worker, event.stage, event.errno);
        case "retire":
          return stop(asked(worker, event.overlaps), at, policy);
        case "deadline":
          return at >= now.deadline ? notReady(worker) : same(worker);
        case "announced":
        case "launch":
        case "disarmed":
        case "gone":
          return same(worker);
      }
      break;
    case "warming":
      switch (event.type) {
        case "announced":
          return counts(event.by, policy) ? ready(worker, at) : same(worker);
        case "retire":
          return stop(asked(worker, event.overlaps), at, policy);
        case "deadline":
          if (now.settled !== undefined && at >= now.settled) return ready(worker, at);
          return at >= now.deadline ? notReady(worker) : same(worker);
        case "started": // Told again after an adoption.
        case "start-failed":
        case "launch":
        case "disarmed":
        case "gone":
          return same(worker);
      }
      break;
    case "ready":
      switch (event.type) {
        case "retire":
          return stop(asked(worker, event.overlaps), at, policy);
        case "announced": // sd_notify(3) lets a service say READY=1 again after a reload.
        case "started":
        case "start-failed":
        case "launch":
        case "disarmed":
        case "gone":
        case "deadline":
          return same(worker);
      }
      break;
    case "stopping":
      switch (event.type) {
        case "deadline":
          if (at < now.deadline) return same(worker);
          return to(
            { ...worker, forced: true },
            { phase: "killing" },
            [{ type: "kill-tree", worker: worker.id }],
            ["stop-timeout"],
          );
        case "start-failed": // It was told to stop between fork and exec.
          return neverRan(worker, event.stage, event.errno);
        case "started":
          return same({ ...worker, pid: event.pid, startedAt: event.at });
        case "announced": // Too late: a promise to stop is never taken back.
        case "retire":
        case "launch":
        case "disarmed":
        case "gone":
          return same(worker);
      }
      break;
    case "killing":
      switch (event.type) {
        case "start-failed":
          return neverRan(worker, event.stage, event.errno);
        case "started":
          return same({ ...worker, pid: event.pid, startedAt: event.at });
        case "announced":
        case "retire":
        case "launch":
        case "disarmed":
        case "gone":
        case "deadline":
          return same(worker);
      }
      break;
    case "sweeping":
      switch (event.type) {
        case "gone":
          return to(worker, { phase: "gone", end: now.end }, [{ type: "acknowledge", worker: worker.id }], ["ended"]);
        case "deadline":
          if (now.deadline === undefined || at < now.deadline) return same(worker);
          return to({ ...worker, forced: true }, { phase: "sweeping", end: now.end }, [
            { type: "sweep", worker: worker.id, signal: "SIGKILL" },
          ]);
        case "retire":
          return same(asked(worker, event.overlaps));
        case "started":
        case "start-failed":
        case "announced":
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
      return worker.state.settled === undefined
        ? worker.state.deadline
        : Math.min(worker.state.settled, worker.state.deadline);
    case "starting":
    case "stopping":
      return worker.state.deadline;
    case "sweeping":
      return worker.state.deadline;
    case "armed":
    case "disarming":
    case "ready":
    case "killing":
    case "gone":
      return undefined;
  }
}

/**
 * What must be asked for again after a new supervisor has read this state back, given what the keeper knows.
 *
 * The state is written before its effects, so each effect either reached the keeper or is repeated here; spawning and arming
 * are safe to repeat because the keeper refuses a key it has.
 */
export function resumeWorker(
  worker: Worker,
  keeper: { readonly child: boolean; readonly arm: boolean; readonly wasSignalled: boolean },
  policy: WorkerPolicy,
): { readonly effects: readonly WorkerEffect[]; readonly events: readonly WorkerEvent[] } {
  const id = worker.id;
  const lost: WorkerEvent[] = [{ type: "exited", end: { kind: "unknown" } }];
  switch (worker.state.phase) {
    case "armed":
      return keeper.arm || keeper.child ? nothing : { effects: [{ type: "arm", worker: id }], events: [] };
    case "disarming":
      if (keeper.arm) return { effects: [{ type: "disarm", worker: id }], events: [] };
      return keeper.child ? nothing : { effects: [], events: [{ type: "disarmed", inTime: true }] };
    case "starting":
      return keeper.child ? nothing : { effects: [{ type: "spawn", worker: id }], events: [] };
    case "warming":
    case "ready":
      return keeper.child ? nothing : { effects: [], events: lost };
    case "stopping":
      if (!keeper.child) return { effects: [], events: lost };
      return keeper.wasSignalled
        ? nothing
        : { effects: [{ type: "signal", worker: id, signal: policy.stop.signal }], events: [] };
    case "killing":
      if (!keeper.child) return { effects: [], events: lost };
      return { effects: [{ type: "kill-tree", worker: id }], events: [] };
    case "sweeping":
      return {
        effects: [
          {
            type: "sweep",
            worker: id,
            signal: worker.state.deadline === undefined ? "SIGKILL" : policy.stop.signal,
          },
        ],
        events: [],
      };
    case "gone":
      return { effects: [{ type: "acknowledge", worker: id }], events: [] };
  }
}

const nothing = { effects: [], events: [] } as const;

function same(worker: Worker): WorkerStep {
  return { worker, effects: [], facts: [] };
}

function to(
  worker: Worker,
  state: WorkerState,
  effects: readonly WorkerEffect[] = [],
  facts: readonly WorkerFact[] = [],
): WorkerStep {
  return { worker: { ...worker, state }, effects, facts };
}

function chain(first: WorkerStep, next: (worker: Worker) => WorkerStep): WorkerStep {
  const second = next(first.worker);
  return {
    worker: second.worker,
    effects: [...first.effects, ...second.effects],
    facts: [...first.facts, ...second.facts],
  };
}

function asked(worker: Worker, overlaps: boolean): Worker {
  return { ...worker, reason: worker.reason ?? "asked", ...(overlaps ? { overlaps: true as const } : {}) };
}

function started(worker: Worker, pid: number, forkedAt: Monotonic, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const running: Worker = { ...worker, pid, startedAt: forkedAt };
  const { when, settleMs, timeoutMs } = policy.ready;
  const settles = when === "spawned" || when === "auto";
  const step = to(
    running,
    {
      phase: "warming",
      deadline: at + timeoutMs,
      ...(settles ? { settled: Math.min(at + settleMs, at + timeoutMs) } : {}),
    },
    [],
    ["started"],
  );
  return settles && settleMs === 0 ? chain(step, (w) => ready(w, at)) : step;
}

function counts(by: "notify" | "newline", policy: WorkerPolicy): boolean {
  return by === "newline"
    ? policy.ready.when === "newline"
    : policy.ready.when === "notify" || policy.ready.when === "auto";
}

function ready(worker: Worker, at: Monotonic): WorkerStep {
  return to({ ...worker, readyAt: at }, { phase: "ready" }, [], ["ready"]);
}

function neverRan(worker: Worker, stage: number, errno: number): WorkerStep {
  return to(
    worker,
    { phase: "gone", end: { kind: "not-started", stage, errno } },
    [{ type: "acknowledge", worker: worker.id }],
    ["ended"],
  );
}

function notReady(worker: Worker): WorkerStep {
  return to(
    { ...worker, reason: "ready-timeout", forced: true },
    { phase: "killing" },
    [{ type: "kill-tree", worker: worker.id }],
    ["ready-timeout"],
  );
}

function stop(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  return to(
    { ...worker, reason: worker.reason ?? "asked" },
    { phase: "stopping", deadline: at + policy.stop.timeoutMs },
    [{ type: "signal", worker: worker.id, signal: policy.stop.signal }],
    ["stopping"],
  );
}

/**
 * What its process leaves behind when it ends by our wish gets the stop signal and the rest of the stop timeout;
 * what a crash leaves behind is killed at once, because the next worker of the instance waits for it.
 */
function exited(worker: Worker, end: End, policy: WorkerPolicy): WorkerStep {
  const now = worker.state;
  switch (now.phase) {
    case "stopping":
      return to(worker, { phase: "sweeping", end, deadline: now.deadline }, [
        { type: "sweep", worker: worker.id, signal: policy.stop.signal },
      ]);
    case "armed":
    case "disarming":
    case "starting":
    case "warming":
    case "ready":
    case "killing":
      return to(worker, { phase: "sweeping", end }, [{ type: "sweep", worker: worker.id, signal: "SIGKILL" }]);
    case "sweeping": // Told again after an adoption.
    case "gone":
      return same(worker);
  }
}
