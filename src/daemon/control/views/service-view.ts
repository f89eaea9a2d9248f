/** `pending`: it waits for other services. `running`, `completed`: of a task, its last run has succeeded. `canary`: ready, and one worker of the new version is tried beside them. `blocked`: a socket of it cannot be bound. `waiting`: no worker, one starts when there is work. `backoff`, `limited`: no worker now, the next start is at `nextStartAt`. */
export type ServicePhase =
  | "stopped"
  | "waiting"
  | "starting"
  | "ready"
  | "degraded"
  | "canary"
  | "restarting"
  | "backoff"
  | "limited"
  | "stopping"
  | "blocked"
  | "pending"
  | "running"
  | "completed"
  | "failed";

export interface ServiceView {
  readonly name: string;
  readonly phase: ServicePhase;
  readonly desired: "started" | "stopped";
  readonly start: "boot" | "connection" | "manual";
  readonly type: "daemon" | "task";
  /** Of a task that has completed: when. */
  readonly completedAt?: string;
  /** The services that it waits for before it starts, or goes on. */
  readonly awaits?: readonly AwaitedView[];
  readonly sockets: readonly string[];
  /** How many are wanted. */
  readonly instances: number;
  readonly ready: number;
  /** Restarts since the supervisor's first start, of all instances. */
  readonly restarts: number;
  readonly workers: readonly WorkerView[];
  /** What is tried next and when, in words, where there is something to wait for. */
  readonly next?: string;
  readonly nextStartAt?: string;
  readonly lastFailure?: FailureView;
  readonly statusText?: string;
  readonly readiness: string;
  /** Lines that its log could not take. */
  readonly logDropped: number;
  /** Bytes that its workers wrote while there was no supervisor and that the keeper could not keep. Both are counted since this supervisor began. */
  readonly logBytesDropped: number;
  /** So many processes that earlier workers have left behind go on (`stop.kill = "process"`); in the answer about one service alone. */
  readonly leftBehind?: number;
  /** Of one that has a process for each connection; its `instances` are those that are open. */
  readonly accepts?: AcceptView;
}

/** Counted since the keeper began to accept for it. */
export interface AcceptView {
  readonly open: number;
  readonly most: number;
  readonly atLimit: "queue" | "refuse";
  /** `full`: `most` are open, and the next one waits. `paused`: by its trigger limit. `short`: the system has no room for one more. */
  readonly phase: "accepting" | "full" | "paused" | "short";
  readonly accepted: number;
  /** Closed because `most` were open. */
  readonly refused: number;
  /** Closed because their source had as many as it may have. */
  readonly refusedPerSource: number;
  /** Whose client had gone before they were accepted. */
  readonly vanished: number;
  /** That wait now; only in the view of one service. */
  readonly queued?: number;
}

export interface AwaitedView {
  readonly service: string;
  readonly until: "started" | "ready" | "completed" | "gone";
  /** Why that does not come by itself, in words. */
  readonly failed?: string;
}

export interface WorkerView {
  /** `web/1`: the instance. */
  readonly instance: string;
  /** Never reused within a service. */
  readonly id: number;
  /** Of its main process. */
  readonly pid?: number;
  /** The pid that it was started with, if it has named another process as its main one since (MAINPID). */
  readonly startedAs?: number;
  /** `running`: of a task. */
  readonly phase: "starting" | "running" | "ready" | "draining" | "stopping" | "killing" | "exited";
  readonly role: "current" | "successor" | "retiring";
  readonly startedAt?: string;
  readonly readyAt?: string;
  /** When the time is over that `run_limit` gives it. */
  readonly runsUntil?: string;
  /** Of a process for one connection: who is at its other end, `192.0.2.1:4711` or `uid:1000`. */
  readonly peer?: string;
  /** STATUS= of sd_notify. */
  readonly statusText?: string;
  /** ERRNO= of sd_notify, in words. */
  readonly errno?: string;
  /** EXIT_STATUS= of sd_notify. */
  readonly exitStatus?: number;
  /** The hooks that run for it, and that it waits for. */
  readonly hook?: "before_start" | "after_start" | "before_stop" | "after_stop";
  /** It has said RELOADING=1, and not READY=1 since. */
  readonly reloading?: true;
  /** Why it counts as unhealthy: what its last failed check has found. */
  readonly unhealthy?: string;
  /** With `health.action = "drain"`: whether an unhealthy worker gets new connections, in words. */
  readonly aside?: string;
  /** How many descriptors its instance has stored (FDSTORE=1); missing: none. */
  readonly stored?: number;
  /** What keeps new connections from it when it retires, in words; undefined: it is not looked at, because it has no socket or does not drain. */
  readonly valve?: string;
  /** Of one that drains: its connections in flight. */
  readonly inFlight?: number;
}

/** The last failure of a service, complete enough to explain it without a look elsewhere. */
export interface FailureView {
  readonly at: string;
  readonly instance: string;
  readonly worker: number;
  /** A code of docs/errors.md, e.g. `start-failed`, `exited`, `ready-timeout`. */
  readonly code: string;
  /** One sentence: what failed, where, why. */
  readonly message: string;
  readonly stage?: string;
  readonly errno?: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly lastLines: readonly string[];
}
