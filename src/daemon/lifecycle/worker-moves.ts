/** The moves that the table in worker.ts is made of: each makes the next state of a worker, its effects and its facts. */

import { broughtBack, forgetAside } from "./aside.js";
import type { Valve } from "./drain.js";
import type { End, Monotonic } from "./end.js";
import { endHooks, hasHooks, runHooks } from "./hooks.js";
import { extendRun } from "./run-limit.js";
import { watchdogFrom } from "./watchdog.js";
import type {
  Announcer,
  Worker,
  WorkerEffect,
  WorkerEvent,
  WorkerFact,
  WorkerPolicy,
  WorkerState,
  WorkerStep,
} from "./worker-state.js";

/** So long may a busy kept-alive connection take until it is between two requests. */
const CLOSING_MS = 2_000;

/** Its drain ends now, if it has one. */
function drained(worker: Worker, at: Monotonic): Worker {
  return worker.drain === undefined ? worker : { ...worker, drain: { ...worker.drain, until: at } };
}

/** One that was told over its channel ends once it is done: what the last look saw of its connections was before that. */
function ended(worker: Worker, end: End): Worker {
  const { drain } = worker;
  if (drain?.valve?.kind !== "handoff" || end.kind !== "exited" || end.code !== 0) return worker;
  return { ...worker, drain: { ...drain, inFlight: drain.waiting ?? 0 } };
}

/** A worker at the moment the keeper is asked to start it. */
export function spawnWorker(id: number, slot: number, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const worker: Worker = { id, slot, state: { phase: "preparing" } };
  if (hasHooks(policy, "before_start")) return runHooks(worker, worker.state, "before_start");
  return spawn(worker, at, policy);
}

/** Nothing stands before its start any more. */
export function spawn(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  return to(worker, { phase: "starting", deadline: at + policy.ready.timeoutMs }, [
    { type: "spawn", worker: worker.id },
  ]);
}

/** A worker that the keeper starts by itself when there is work. */
export function armWorker(id: number, slot: number): WorkerStep {
  return { worker: { id, slot, state: { phase: "armed" } }, effects: [{ type: "arm", worker: id }], facts: [] };
}

export function same(worker: Worker): WorkerStep {
  return { worker, effects: [], facts: [] };
}

export function to(
  worker: Worker,
  state: WorkerState,
  effects: readonly WorkerEffect[] = [],
  facts: readonly WorkerFact[] = [],
): WorkerStep {
  return { worker: { ...worker, state }, effects, facts };
}

export function chain(first: WorkerStep, next: (worker: Worker) => WorkerStep): WorkerStep {
  const second = next(first.worker);
  return {
    worker: second.worker,
    effects: [...first.effects, ...second.effects],
    facts: [...first.facts, ...second.facts],
  };
}

export function asked(worker: Worker, overlaps: boolean): Worker {
  return { ...worker, reason: worker.reason ?? "asked", ...(overlaps ? { overlaps: true as const } : {}) };
}

export function started(
  worker: Worker,
  pid: number,
  forkedAt: Monotonic,
  at: Monotonic,
  policy: WorkerPolicy,
): WorkerStep {
  const { when, settleMs, timeoutMs } = policy.ready;
  const settles = when === "spawned";
  const { extended = 0, ...known } = worker;
  const step = to(
    { ...known, pid, startedAt: forkedAt },
    {
      phase: "warming",
      deadline: Math.max(at + timeoutMs, extended),
      ...(settles ? { settled: at + Math.min(settleMs, timeoutMs) } : {}),
    },
    observes(policy) && worker.announced !== true ? [{ type: "observe", worker: worker.id }] : [],
    ["started"],
  );
  const atOnce = worker.announced === true || (settles && settleMs === 0);
  return atOnce ? chain(step, (w) => ready(w, at, policy)) : step;
}

/** Whether the kernel is asked for this worker's readiness. */
export function observes({ ready: { when } }: WorkerPolicy): boolean {
  return when === "listening" || when === "auto" || when === "probe";
}

/** Time takes the place of what cannot be seen. */
export function unobservable(worker: Worker, deadline: Monotonic, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const settled = Math.min(at + policy.ready.settleMs, deadline);
  return to({ ...worker, unobserved: true }, { phase: "warming", deadline, settled });
}

export function heardEarly(worker: Worker, by: Announcer, policy: WorkerPolicy): WorkerStep {
  return same(counts(by, policy) ? { ...worker, announced: true } : worker);
}

export function counts(by: Announcer, { ready: { when } }: WorkerPolicy): boolean {
  return by === when || (when === "auto" && (by === "notify" || by === "listening"));
}

export function ready(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  if (hasHooks(policy, "after_start")) return runHooks(worker, { phase: "confirming" }, "after_start");
  return up(worker, at, policy);
}

export function up(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  return to({ ...worker, readyAt: at, ...watchdogFrom(worker, at, policy) }, { phase: "ready" }, [], ["ready"]);
}

export function neverRan(worker: Worker, stage: number, errno: number, policy: WorkerPolicy): WorkerStep {
  return over(worker, { kind: "not-started", stage, errno }, policy);
}

/** Nothing of it is left, or ever was; or `left` processes that go on without it. */
export function over(worker: Worker, end: End, policy: WorkerPolicy, left = 0): WorkerStep {
  if (left > 0) {
    const known: WorkerStep = { worker: { ...worker, left }, effects: [], facts: ["left-behind"] };
    return chain(known, (leaving) => over(leaving, end, policy));
  }
  return hasHooks(policy, "after_stop")
    ? runHooks(worker, { phase: "clearing", end }, "after_stop")
    : gone(worker, end);
}

export function gone(worker: Worker, end: End): WorkerStep {
  return to(worker, { phase: "gone", end }, [{ type: "acknowledge", worker: worker.id }], ["ended"]);
}

/** SIGKILL to as much of it as the policy says. */
export function kill({ id }: Worker, policy: WorkerPolicy): WorkerEffect {
  return { type: policy.stop.kill === "process" ? "kill-main" : "kill-tree", worker: id };
}

export function notReady(worker: Worker, policy: WorkerPolicy): WorkerStep {
  return to(
    { ...worker, reason: "ready-timeout", forced: true },
    { phase: "killing" },
    [kill(worker, policy)],
    ["ready-timeout"],
  );
}

/** A ready worker is to end: it drains first, where there is something to keep new connections from it. */
export function retire(
  worker: Worker,
  { overlaps, withinMs = Number.POSITIVE_INFINITY }: { readonly overlaps: boolean; readonly withinMs?: number },
  at: Monotonic,
  policy: WorkerPolicy,
): WorkerStep {
  return drain(asked(worker, overlaps), Math.min(policy.drain.timeoutMs, withinMs), at, policy);
}

/** Nobody needs it at the moment: as `retire`, but a connection that comes before its valve is closed keeps it. */
export function rest(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  return drain({ ...worker, reason: "idle" }, policy.drain.timeoutMs, at, policy);
}

/** Its time is over: it is not asked by anybody, and its end is no wish of an operator. */
export function expire(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const expired: Worker = { ...worker, reason: "run-limit" };
  switch (worker.state.phase) {
    case "ready":
      return drain(expired, policy.drain.timeoutMs, at, policy);
    case "warming":
      return stop(expired, at, policy);
    default:
      return same(worker);
  }
}

function drain(before: Worker, timeoutMs: number, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  if (policy.drain.when === "signal" || policy.sockets.length === 0 || timeoutMs === 0)
    return stop(forgetAside(before), at, policy);
  const valve = before.drain?.valve; // It is closed, or still to be opened again: its registrations are known.
  const { aside: _, ...worker } = before;
  return to(
    { ...worker, drain: { since: at, seen: 0, inFlight: 0, closed: 0, ...(valve === undefined ? {} : { valve }) } },
    { phase: "draining", deadline: at + timeoutMs },
    [{ type: valve === undefined ? "find-valve" : "close-valve", worker: worker.id }],
    ["draining"],
  );
}

/** Asked once more, and perhaps to hurry. */
export function retireAgain(
  worker: Worker,
  event: Extract<WorkerEvent, { type: "retire" }>,
  now: Extract<WorkerState, { phase: "draining" }>,
  at: Monotonic,
): WorkerStep {
  const leaving = asked(worker.reason === "idle" ? { ...worker, reason: "asked" } : worker, event.overlaps);
  const sooner = Math.min(now.deadline, at + (event.withinMs ?? Number.POSITIVE_INFINITY));
  return to(leaving, { ...now, deadline: sooner });
}

/**
 * The time for the drain is over. A client that asks again and again keeps its connection in flight for ever, so each one is closed in a moment between
 * two requests; what is in the middle of one for longer is cut.
 */
export function drainTimeout(
  worker: Worker,
  now: Extract<WorkerState, { phase: "draining" }>,
  at: Monotonic,
  policy: WorkerPolicy,
): WorkerStep {
  const { valve, inFlight } = worker.drain ?? { inFlight: 0 };
  if (now.closing === true || valve === undefined || inFlight === 0) {
    return chain(stop(worker, at, policy), (cut) => ({ worker: cut, effects: [], facts: ["drain-timeout"] }));
  }
  return to(worker, { phase: "draining", deadline: at + CLOSING_MS, closing: true }, [
    { type: "close-connections", worker: worker.id },
  ]);
}

export function valveFound(worker: Worker, valve: Valve, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  if (worker.drain === undefined) return same(worker);
  const known = { ...worker, drain: { ...worker.drain, valve } };
  const before = worker.drain.valve?.kind;
  // It could not be closed after all; or its program has added the socket once more, and that is to be undone as well.
  if (before !== undefined && valve.kind !== "signal") return same(before === valve.kind ? known : worker);
  if (valve.kind === "signal") return stop(known, at, policy);
  return { worker: known, effects: [{ type: "close-valve", worker: worker.id }], facts: [] };
}

export function connections(
  worker: Worker,
  { inFlight, seen, open, waiting = 0, closed = 0 }: Extract<WorkerEvent, { type: "connections" }>,
  at: Monotonic,
  policy: WorkerPolicy,
): WorkerStep {
  if (worker.drain === undefined) return same(worker);
  if (worker.reason === "idle" && open > 0) return reopen(worker);
  // Another supervisor counts from its own first look on.
  const { waiting: _, ...before } = worker.drain;
  const counted = {
    inFlight,
    seen: Math.max(seen, before.seen),
    closed: Math.max(closed, before.closed),
    ...(waiting > 0 ? { waiting } : {}),
  };
  const known = { ...worker, drain: { ...before, ...counted } };
  return inFlight === 0 ? stop(known, at, policy) : same(known);
}

/** Somebody came in the moment it was taken for idle. */
function reopen(worker: Worker): WorkerStep {
  const { reason: _, ...awake } = worker;
  return to(awake, { phase: "ready" }, [{ type: "open-valve", worker: worker.id }], ["reopened"]);
}

export function reopened(worker: Worker): WorkerStep {
  const { drain: _, ...open } = worker;
  return same(open);
}

export function stop(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const leaving: Worker = { ...drained(worker, at), reason: worker.reason ?? "asked" };
  // Only of one that served: what never came up is not asked by a command either.
  if (worker.readyAt !== undefined && hasHooks(policy, "before_stop"))
    return runHooks(leaving, { phase: "parting" }, "before_stop");
  return tell(leaving, at, policy);
}

/** The stop signal, and the time from then on. */
export function tell(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  return to(
    worker,
    { phase: "stopping", deadline: at + policy.stop.timeoutMs },
    [{ type: "signal", worker: worker.id, signal: policy.stop.signal }],
    ["stopping"],
  );
}

/** It ends by itself, and drains by its own means: no signal, and as long as a drain and a stop of ours may take. */
export function leave(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const deadline = at + policy.drain.timeoutMs + policy.stop.timeoutMs;
  return to(worker, { phase: "stopping", deadline, instead: "nothing" }, [], ["leaving"]);
}

/** What a worker in this phase gets to make it end; undefined: it ends by itself. */
export function stopSignalOf({ state }: Worker, policy: WorkerPolicy): string | undefined {
  if (state.phase !== "stopping" || state.instead === undefined) return policy.stop.signal;
  return state.instead === "nothing" ? undefined : state.instead;
}

/**
 * What its process leaves behind when it ends by our wish gets the stop signal and the rest of the stop timeout, or SIGKILL with `stop.kill = "mixed"`;
 * what a crash, or an abort, leaves behind is killed at once, because the next worker of the instance waits for it. With `stop.kill = "process"` all of it goes on.
 */
export function exited(worker: Worker, end: End, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const now = worker.state;
  switch (now.phase) {
    case "draining": // It knew by itself that it was to end.
    case "stopping": {
      if (now.phase === "stopping" && now.instead === "SIGABRT") return sweepAll(worker, end, policy);
      if (policy.stop.kill !== undefined)
        return sweepAll(now.phase === "stopping" ? worker : ended(drained(worker, at), end), end, policy);
      const deadline = now.phase === "stopping" ? now.deadline : at + policy.stop.timeoutMs;
      return to(
        now.phase === "stopping" ? worker : ended(drained(worker, at), end),
        { phase: "sweeping", end, deadline },
        [{ type: "sweep", worker: worker.id, signal: policy.stop.signal }],
      );
    }
    case "parting": // Its hooks are heard to the end.
      return to(worker, { phase: "parting", end });
    case "confirming": {
      const swept = sweepAll(worker, end, policy);
      return { ...swept, effects: [endHooks(worker), ...swept.effects] };
    }
    case "armed":
    case "disarming":
    case "starting":
    case "warming":
    case "ready":
    case "killing":
      return sweepAll(worker, end, policy);
    case "preparing":
    case "sweeping": // Told again after an adoption.
    case "clearing":
    case "gone":
      return same(worker);
  }
}

function sweepAll(worker: Worker, end: End, policy: WorkerPolicy): WorkerStep {
  return to(worker, { phase: "sweeping", end }, [sweepAtOnce(worker, policy)]);
}

/** What becomes of what its process has left behind where it is not asked to end. */
export function sweepAtOnce({ id }: Worker, policy: WorkerPolicy): WorkerEffect {
  return policy.stop.kill === "process"
    ? { type: "leave", worker: id }
    : { type: "sweep", worker: id, signal: "SIGKILL" };
}

/** Its deadline is never sooner than `byMs` from now; sd_notify(3), EXTEND_TIMEOUT_USEC. */
export function extend(worker: Worker, byMs: number, at: Monotonic): WorkerStep {
  const { state } = worker;
  const until = at + byMs;
  switch (state.phase) {
    case "armed":
    case "disarming":
    case "starting": // Its own deadline is counted anew once it has started.
      return same({ ...worker, extended: Math.max(worker.extended ?? 0, until) });
    case "ready":
      return same(extendRun(worker, until));
    case "warming":
    case "draining":
    case "stopping":
      return to(extendRun(worker, until), { ...state, deadline: Math.max(state.deadline, until) });
    case "sweeping":
      if (state.deadline === undefined) return same(worker);
      return to(worker, { ...state, deadline: Math.max(state.deadline, until) });
    case "preparing": // Hooks have a time of their own.
    case "confirming":
    case "parting":
    case "clearing":
    case "killing":
    case "gone":
      return same(worker);
  }
}

/** Its process has been reaped. */
const ENDED: ReadonlySet<WorkerState["phase"]> = new Set(["sweeping", "clearing", "gone"]);

/** The keeper tells of another process than before. */
export function isOther({ pid, state }: Worker, told: number): boolean {
  return pid !== undefined && pid !== told && !ENDED.has(state.phase);
}

/** What the process so far was sent, this one was not. */
export function moved(worker: Worker, pid: number, policy: WorkerPolicy): WorkerStep {
  const { id, state } = worker;
  const signal = state.phase === "stopping" ? stopSignalOf(worker, policy) : undefined;
  const effects: WorkerEffect[] = [
    ...(signal === undefined ? [] : [{ type: "signal", worker: id, signal } as const]),
    ...(state.phase === "killing" ? [kill(worker, policy)] : []),
  ];
  return { worker: { ...worker, pid }, effects, facts: ["moved"] };
}

/** Only of one that serves: any other is judged by how it becomes ready, or is on its way out. */
export function health(worker: Worker, ok: boolean): WorkerStep {
  if (worker.state.phase !== "ready" || ok === (worker.unhealthy === undefined)) return same(worker);
  const { unhealthy: _, ...well } = worker;
  return ok
    ? { ...broughtBack(well), facts: ["recovered"] }
    : { worker: { ...worker, unhealthy: true }, effects: [], facts: ["unhealthy"] };
}
