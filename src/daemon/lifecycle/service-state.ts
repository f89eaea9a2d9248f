import type { ServiceConfig } from "../config/config.js";
import type { Drain } from "./drain.js";
import type { End, Monotonic, StopReason } from "./end.js";
import type { Receipt } from "./receipt.js";
import { freshHistory, type RestartHistory } from "./restart-policy.js";
import type { Share } from "./steering.js";
import { type Worker, type WorkerEffect, type WorkerEvent, workerDeadline } from "./worker.js";

/**
 * All that is known of one service. Plain data: it is written into the keeper's table after each change and read back by the
 * next supervisor, so a field that is missing there is a field that a crash forgets.
 */
export interface ServiceState {
  readonly desired: "started" | "stopped";
  /** Its sockets could not be bound: nothing is started until they are. */
  readonly blocked: boolean;
  /** How many instances are wanted. */
  readonly size: number;
  /** The id of the next worker. */
  readonly nextWorker: number;
  readonly instances: readonly Instance[];
  /** Workers on their way out, of instances that are still there and of those that are not. */
  readonly retiring: readonly Worker[];
  readonly job?: Job;
  readonly rollout?: Rollout;
  readonly lastFailure?: Failure;
  /** Activations since `since`, to bound a worker that ends without taking the connection that started it. */
  readonly triggers?: Triggers;
  /** The number of workers in the configuration that last gave `size`; missing: no `apply` has changed it. */
  readonly configured?: number;
  /** A worker of the new version that gets a share of the new connections until it is promoted or sent away. */
  readonly canary?: Canary;
  /** Which lanes of its steered sockets get new connections; missing: none of them is steered. */
  readonly steering?: readonly Share[];
  /** It waits for these services before anything of it is started; empty: nobody has looked yet. Missing: it waits for none. */
  readonly awaits?: readonly Awaited[];
  /** Its workers are to end, and go on until those that come after it have ended theirs. */
  readonly lingers?: Lingering;
  /** Of a task: its last run has succeeded. */
  readonly completed?: { readonly at: Monotonic; readonly worker: number };
  /** Of a task: it is to run once more when the run under way is over, whatever that comes to. */
  readonly again?: true;
  /** Of a task that runs because an apply has changed it: that it had completed before, in case that is taken back. */
  readonly before?: ServiceState["completed"] & object;
  /** It has failed, and those that are to be started for that are not started yet. */
  readonly alarm?: true;
  /** Lanes in which connections wait and that no instance is due to get; missing: there are none. */
  readonly stranded?: readonly number[];
}

export interface Awaited {
  readonly service: string;
  /** `gone`: it conflicts. */
  readonly until: "started" | "ready" | "completed" | "gone";
  /** Why that does not come by itself, as far as anybody can tell: how its last worker ended, or what stands in its own way. */
  readonly failed?: End | "blocked" | "stopped" | { readonly kind: "awaits"; readonly service: string };
  /** Not by its configuration: it was put on hold while the other one is restarted. */
  readonly restarting?: true;
}

/** `hold`: it starts again once nothing stands in the way. */
export interface Lingering {
  readonly next: "stop" | "restart" | "hold";
  readonly withinMs?: number;
}

export interface Canary {
  /** The successor in this instance is the canary. */
  readonly slot: number;
  /** 1 to 99. */
  readonly percent: number;
}

export interface Triggers {
  readonly since: Monotonic;
  readonly count: number;
}

/** One slot of the service; it survives restarts. */
export interface Instance {
  readonly slot: number;
  /** The worker that serves, or is on its way to it, or is armed. */
  readonly current?: Worker;
  /** During a restart: the one that takes over once it is ready. */
  readonly successor?: Worker;
  /** With `start = "connection"`: there is work for it, or the operator started it. */
  readonly called: boolean;
  /** No automatic start before then: of a worker, or of a successor for a stranded lane or an unhealthy worker. */
  readonly wait?: Wait;
  /** The restart policy wants no further worker after the last end. */
  readonly halted: boolean;
  readonly history: RestartHistory;
  readonly restarts: number;
  /** The lane of the steered sockets that its next worker gets if nobody has it: what waits in there is this instance's. */
  readonly lane?: number;
}

export interface Wait {
  readonly until: Monotonic;
  readonly why: "backoff" | "start-limit";
}

/** A command in progress. One at a time: a later one supersedes it. */
export interface Job {
  readonly kind: "start" | "stop" | "restart" | "restart-hard" | "scale" | "canary" | "abort";
  /** Ids of those who wait for the answer. */
  readonly askers: readonly number[];
  readonly since: Monotonic;
  /** What has become of workers since then. */
  readonly receipt: Receipt;
}

/** A rolling restart: `surge` successors at a time beside what they replace, and `unavailable` after it has gone. */
export interface Rollout {
  readonly pending: readonly number[];
  /** The instances in hand. */
  readonly active: readonly Replacement[];
  /** The pause after an instance that was replaced. */
  readonly pauseUntil?: Monotonic;
}

export interface Replacement {
  readonly slot: number;
  /** The ready worker that is to be replaced; 0 = there was none. */
  readonly old: number;
  /** Whether the new one is to be ready before the old one is asked to go. */
  readonly first: "successor" | "stop";
}

export interface Failure {
  readonly at: Monotonic;
  readonly slot: number;
  readonly worker: number;
  readonly code: "start-failed" | "exited" | "killed" | "ready-timeout" | "watchdog" | "run-limit" | "lost";
  readonly end: End;
  /** What it wrote last; bounded by the runtime. */
  readonly lines: readonly string[];
  /** It ended with 0 before it was ready. */
  readonly unready?: true;
}

export type ServiceEvent =
  /** The supervisor runs for the first time, or the service is new. */
  | { readonly type: "boot" }
  | { readonly type: "blocked" }
  | { readonly type: "unblocked" }
  /** Nothing stands in the way of its start any more; or these do. */
  | { readonly type: "release" }
  | { readonly type: "wait-for" | "hold"; readonly on: readonly Awaited[] }
  /** Those that come after it have gone. */
  | { readonly type: "depart" }
  /** Those that are to be started because of its failure were started. */
  | { readonly type: "alarm-heard" }
  | { readonly type: "start"; readonly asker: number }
  /** `withinMs`: bounds how long workers may drain. */
  | { readonly type: "stop"; readonly asker: number; readonly withinMs?: number }
  | { readonly type: "restart"; readonly asker: number; readonly hard: boolean }
  /** `configured`: the size comes from a configuration that says so many. */
  | { readonly type: "scale"; readonly asker: number; readonly size: number; readonly configured?: number }
  /**
   * Policy and version of the moment are other ones from now on. `replace`: what a worker is started with has changed as well. Workers of
   * another version than that of the moment make room either way, as in a rolling restart.
   */
  | { readonly type: "configure"; readonly asker: number; readonly replace: boolean; readonly undoes?: boolean }
  | { readonly type: "reset"; readonly asker: number }
  /** One successor gets so many percent of the new connections; `promote` goes on with it, `abort` sends it away. */
  | { readonly type: "canary"; readonly asker: number; readonly percent: number }
  | { readonly type: "promote" | "abort"; readonly asker: number }
  /** No connection of any of its workers has been open for `idle_stop`. */
  | { readonly type: "idle" }
  /** Connections wait in a lane that was looked into. */
  | { readonly type: "stranded"; readonly lane: number }
  | { readonly type: "deadline" }
  /** `lines`: what it wrote last; with `gone` and `start-failed`. */
  | {
      readonly type: "worker";
      readonly worker: number;
      readonly event: WorkerEvent;
      readonly lines?: readonly string[];
    };

/** `not-ready`: a canary needs a ready worker beside it. */
export type Answer = "done" | "unchanged" | "failed" | "rolled-back" | "superseded" | "not-ready";

export type ServiceEffect =
  | WorkerEffect
  | {
      readonly type: "answer";
      readonly askers: readonly number[];
      readonly answer: Answer;
      readonly failure?: Failure;
      /** It failed because of these. */
      readonly awaits?: readonly Awaited[];
      /** Of a restart. */
      readonly receipt?: Receipt;
    }
  /** From now on new connections go to these lanes of its steered sockets, and to no other. */
  | { readonly type: "steer"; readonly shares: readonly Share[] }
  /** Its worker is gone and nobody is due to get it: say `stranded` if anything waits in there. */
  | { readonly type: "look-into"; readonly lane: number };

export type ServiceFact =
  | {
      readonly type:
        | "armed"
        | "worker-started"
        | "worker-ready"
        | "ready-timeout"
        | "draining"
        | "reopened"
        | "stop-timeout"
        | "leaving"
        | "watchdog"
        | "unhealthy"
        | "recovered"
        | "set-aside"
        | "kept"
        | "run-limit"
        | "moved"
        | "canary-ready"
        | "completed";
      readonly slot: number;
      readonly worker: number;
    }
  /** Nothing can keep new connections from it. */
  | { readonly type: "not-set-aside"; readonly slot: number; readonly worker: number; readonly why: string }
  /** Its drain is over: what became of it, where it had one. */
  | {
      readonly type: "stopping" | "drain-timeout";
      readonly slot: number;
      readonly worker: number;
      readonly drain?: Drain;
    }
  | { readonly type: "left-behind"; readonly slot: number; readonly worker: number; readonly count: number }
  | {
      readonly type: "worker-ended";
      readonly slot: number;
      readonly worker: number;
      readonly end: End;
      readonly reason?: StopReason;
      readonly forced: boolean;
    }
  | {
      readonly type: "start-delayed";
      readonly slot: number;
      readonly until: Monotonic;
      readonly why: "backoff" | "start-limit";
    }
  | { readonly type: "halted"; readonly slot: number; readonly end: End }
  | { readonly type: "rolled-back"; readonly slot: number; readonly worker: number }
  | { readonly type: "stranded"; readonly slot: number; readonly lane: number }
  | { readonly type: "restarted"; readonly receipt: Receipt }
  | { readonly type: "awaits"; readonly on: readonly Awaited[] }
  | { readonly type: "released" }
  | { readonly type: "stopped" };

export interface ServiceStep {
  readonly state: ServiceState;
  readonly effects: readonly ServiceEffect[];
  readonly facts: readonly ServiceFact[];
}

/** What a step may look at beside state and event. */
export interface Moment {
  readonly at: Monotonic;
  readonly policy: ServiceConfig;
  /** What workers that start now are marked with. */
  readonly version?: string;
  /** One of its sockets is steered, so that each worker needs a lane. */
  readonly steered?: boolean;
  /** Others come after it: its workers end when theirs have. */
  readonly followed?: boolean;
  /** Uniform in [0, 1). */
  readonly random: number;
}

export function newService(policy: ServiceConfig): ServiceState {
  return {
    desired: "stopped",
    blocked: false,
    size: policy.workers,
    nextWorker: 1,
    instances: range(policy.workers).map(newInstance),
    retiring: [],
  };
}

export function newInstance(slot: number): Instance {
  return { slot, called: false, halted: false, history: freshHistory, restarts: 0 };
}

/** Slots 1 to `size`. */
export function range(size: number): number[] {
  return Array.from({ length: size }, (_, index) => index + 1);
}

/** Every worker of the service, with the part it plays. */
export function workersOf(
  state: ServiceState,
): { readonly worker: Worker; readonly role: "current" | "successor" | "retiring" }[] {
  return [
    ...state.instances.flatMap(({ current, successor }) => [
      ...(current ? [{ worker: current, role: "current" as const }] : []),
      ...(successor ? [{ worker: successor, role: "successor" as const }] : []),
    ]),
    ...state.retiring.map((worker) => ({ worker, role: "retiring" as const })),
  ];
}

/** As systemd.socket(5) has it for sockets with a process per connection; 100 starts a second are far from a burnt core. */
const TRIGGER_LIMIT = { burst: 200, intervalMs: 2_000 };

/** One activation more, at `at`. */
export function countTrigger(triggers: Triggers | undefined, at: Monotonic): Triggers {
  if (triggers === undefined || triggersAreOld(triggers, at)) return { since: at, count: 1 };
  return { since: triggers.since, count: triggers.count + 1 };
}

/** Whether their interval has passed, so that the next activation is the first of another one. */
export function triggersAreOld(triggers: Triggers, at: Monotonic): boolean {
  return at >= triggers.since + TRIGGER_LIMIT.intervalMs;
}

/** From when on the service may be armed again; 0 = at once. */
export function triggersFree(triggers: Triggers | undefined): Monotonic {
  if (triggers === undefined || triggers.count < TRIGGER_LIMIT.burst) return 0;
  return triggers.since + TRIGGER_LIMIT.intervalMs;
}

/** Whether workers may be started at all. */
export function mayStart({ desired, blocked, awaits }: ServiceState): boolean {
  return desired === "started" && !blocked && awaits === undefined;
}

/** The earliest time at which the runtime must send `deadline`; undefined = nothing waits for time to pass. */
export function nextDeadline(state: ServiceState): Monotonic | undefined {
  const wanted = mayStart(state);
  const pause = triggersFree(state.triggers);
  const idle = state.instances.every(({ current, called }) => current === undefined && !called);
  const times = [
    ...workersOf(state).map(({ worker }) => workerDeadline(worker)),
    ...(wanted ? state.instances.map(({ wait }) => wait?.until) : []),
    ...(wanted && idle && pause > 0 ? [pause] : []),
    ...(wanted ? [state.rollout?.pauseUntil] : []),
  ].filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** A copy without the named optional fields (exactOptionalPropertyTypes allows no undefined in them). */
export function without<K extends "current" | "successor" | "wait">(
  instance: Instance,
  ...keys: K[]
): Omit<Instance, K> & Instance {
  const copy: { -readonly [P in keyof Instance]: Instance[P] } = { ...instance };
  for (const key of keys) delete copy[key];
  return copy as Omit<Instance, K> & Instance;
}

/** The instance without whatever holds its next start back. */
export function unhindered(instance: Instance): Instance {
  return { ...without(instance, "wait"), halted: false, history: freshHistory };
}
