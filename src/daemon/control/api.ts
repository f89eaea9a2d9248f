/**
 * What the operator's interface shows and asks for. The HTTP routes, the commands and the runtime all speak these types;
 * they are the JSON of `/v1/…` and of `-o json`.
 *
 * Times that a person reads are ISO 8601 in UTC; lengths of time are milliseconds.
 */
export interface SupervisorView {
  readonly version: string;
  readonly pid: number;
  readonly keeperPid: number;
  readonly keeper: KeeperView;
  readonly startedAt: string;
  /** How many supervisors the keeper has started, this one included. */
  readonly starts: number;
  /** Why the one before ended, in words; undefined for the first. */
  readonly previousEnd?: string;
  /** How often the keeper was killed and another one took its place; undefined: never. */
  readonly keeperDeaths?: number;
  /** The last time, in words. */
  readonly keeperDeath?: string;
  /** The last upgrade that a supervisor ceded the lease for; undefined: there was none. */
  readonly upgrade?: UpgradeDoneView;
  /** From the start of this process until everything was adopted. */
  readonly adoptedInMs?: number;
  readonly configFiles: readonly string[];
  readonly control: string;
  readonly counters: Readonly<Record<string, number>>;
}

export interface KeeperView {
  readonly startedAt: string;
  /** How often it was re-executed since then. */
  readonly reExecs: number;
  /** When last. */
  readonly reExecutedAt?: string;
}

/** What became of a re-exec of the keeper. `failed`: nothing has changed. */
export interface ReExecView {
  readonly result: "done" | "failed";
  readonly message: string;
  readonly reExecs: number;
  readonly durationMs: number;
}

/** What became of the try of another supervisor. `failed`: nothing has changed. `willing`: it gets the lease now, and says what became of that itself. */
export interface UpgradeView {
  readonly result: "failed" | "willing";
  readonly message: string;
  /** Of one that is willing: under this id the next supervisor tells more. */
  readonly id?: string;
}

export interface UpgradeDoneView {
  readonly id: string;
  /** `failed`: the program of before is in charge again. */
  readonly result: "done" | "failed";
  readonly message: string;
  /** So long no restart could be decided. */
  readonly pauseMs: number;
}

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
  /** How many descriptors its instance has stored (FDSTORE=1); missing: none. */
  readonly stored?: number;
  /** What keeps new connections from it when it retires, in words; undefined: it is not looked at, because it has no socket or does not drain. */
  readonly valve?: string;
  /** Of one that drains: its connections in flight. */
  readonly inFlight?: number;
}

/** What a restart has done, and what the kernel counted meanwhile. */
export interface ReceiptView {
  readonly service: string;
  readonly started: readonly StartedView[];
  readonly retired: readonly RetiredView[];
  readonly sockets: readonly SocketReceiptView[];
  /** The longest time without a ready worker, in milliseconds; 0 = there was always one. */
  readonly longestUnreadyMs: number;
  /** ListenDrops and ListenOverflows of the whole network namespace meanwhile (/proc/net/netstat). */
  readonly listenDrops: number;
  readonly listenOverflows: number;
}

export interface StartedView {
  readonly instance: string;
  readonly worker: number;
  readonly readyMs: number;
}

export interface RetiredView {
  readonly instance: string;
  readonly worker: number;
  /** `none`: it got its stop signal at once. `signal`: as well, because nothing could keep new connections from it, and `why` says why. */
  readonly valve: "epoll" | "steered" | "handoff" | "signal" | "none";
  readonly why?: string;
  readonly drainMs: number;
  /** Connections in flight that were finished, and those that its stop signal cut. */
  readonly drained: number;
  /** Closed between two requests, because the time for the drain was over. */
  readonly closed: number;
  readonly cut: number;
  /** Connections that its successors have taken over its handoff channel; their clients saw nothing of it. */
  readonly handedOver: number;
  /** SIGKILL was needed. */
  readonly forced: boolean;
  /** How it ended, in words. */
  readonly end: string;
}

export interface SocketReceiptView {
  readonly name: string;
  readonly address: string;
  /** The most connections that were seen waiting (a look each 50 ms). */
  readonly highestQueue: number;
  /** What the kernel has dropped at this socket meanwhile. */
  readonly drops: number;
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

export interface SocketView {
  readonly name: string;
  readonly address: string;
  readonly kind: string;
  /** Bound and held by the keeper; `error` says why not. */
  readonly bound: boolean;
  readonly error?: string;
  readonly services: readonly string[];
  /** Connections that wait now; undefined where the kernel does not tell. */
  readonly queued?: number;
  readonly backlog?: number;
  /** Nobody accepts until then. */
  readonly pausedUntil?: string;
  /** Of a steered socket: how many sockets its group has. */
  readonly lanes?: number;
}

/** One line of `logs`. */
export interface LogLine {
  readonly at: string;
  readonly service: string;
  readonly instance: string;
  readonly worker: number;
  readonly stream: "stdout" | "stderr";
  /** Without its newline; bytes that are not UTF-8 are replaced. */
  readonly text: string;
}

/** One fact, as `events` shows it. */
export interface EventView {
  /** Ascending; gaps mean that the reader was too slow. Starts again with each supervisor. */
  readonly sequence: number;
  readonly at: string;
  /** e.g. `worker-started`, `worker-ready`, `worker-exited`, `start-limit`, `supervisor-adopted`. */
  readonly type: string;
  readonly service?: string;
  readonly instance?: string;
  readonly worker?: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export type Action =
  | { readonly action: "canary"; readonly percent: number }
  | { readonly action: "promote" | "abort" }
  | { readonly action: "start" | "reload" | "reset" }
  /** `beside`: services that the same command stops, so that they go in order. */
  | { readonly action: "stop"; readonly beside?: readonly string[] }
  | { readonly action: "restart"; readonly hard: boolean; readonly check?: boolean }
  | { readonly action: "scale"; readonly workers: number }
  /** `to`: what its earlier workers have left behind gets it, instead of the workers. */
  | { readonly action: "signal"; readonly signal: string; readonly to?: "left-behind" };

export type SocketAction = { readonly action: "pause"; readonly maxMs: number } | { readonly action: "resume" };

export interface SocketOutcome {
  readonly socket: string;
  readonly result: "done" | "unchanged" | "failed";
  readonly message: string;
}

/** What became of one action on one service. `rolled-back`: the successor failed, what ran goes on running. */
export interface Outcome {
  readonly service: string;
  readonly result: "done" | "unchanged" | "failed" | "rolled-back" | "superseded" | "not-running" | "timed-out";
  readonly message: string;
  readonly failure?: FailureView;
  /** Of a restart. */
  readonly receipt?: ReceiptView;
  /** Other services that the command has reached, because of what they say of one another. */
  readonly also?: readonly AlsoView[];
  readonly durationMs: number;
}

export interface AlsoView {
  readonly service: string;
  readonly action: "started" | "stopped" | "restarted";
}

/** What `apply` would change, or has changed. A key is named, its value is not: it may be a secret. */
export interface PlannedChange {
  readonly subject: "socket" | "service" | "supervisor" | "files";
  readonly name: string;
  readonly change: "add" | "change" | "remove";
  /** How gently; of a change only. `live`: nothing that runs is touched. `rebind` and `restart` cannot be applied. */
  readonly how?: "live" | "rolling" | "rebind" | "restart";
  /** As in the file; `socket.NAME` for what a service has from its socket. */
  readonly keys: readonly string[];
  readonly message: string;
}

export interface PlanView {
  /** Of this change from what is in force to what the files say now. */
  readonly id: string;
  readonly files: readonly string[];
  /** Empty: the files say what is in force. */
  readonly changes: readonly PlannedChange[];
  /** What is doubtful in the files, one text each. */
  readonly warnings: readonly string[];
}

/** What became of an `apply`. `failed`: nothing was touched. `rolled-back`: a worker failed, and everything is as before. */
export interface ApplyView {
  readonly result: "done" | "unchanged" | "failed" | "rolled-back";
  readonly message: string;
  readonly changes: readonly PlannedChange[];
  /** Where a service has failed: which one, and why. */
  readonly service?: string;
  readonly failure?: FailureView;
  /** One for each service whose workers were replaced. */
  readonly receipts: readonly ReceiptView[];
  readonly durationMs: number;
}

export type WaitFor = "ready" | "stopped" | "running" | "completed";

/** What the control interface needs from the runtime. A name that does not exist is answered with undefined. */
export interface Operations {
  supervisor(): SupervisorView;
  services(): readonly ServiceView[];
  service(name: string): ServiceView | undefined;
  sockets(): readonly SocketView[];
  /** Reads the supervisor's own configuration files. Rejects with `invalid-configuration`. */
  plan(): Promise<PlanView>;
  /**
   * Reads them and puts them in force, all or nothing. Resolves when that is complete or undone. Rejects with `invalid-configuration`,
   * `apply-in-progress`, and `plan-changed` if by now it is another plan than the one of that id.
   */
  apply(plan: string | undefined): Promise<ApplyView>;
  /** The keeper becomes this program (an absolute path), or what lies now where its own lies. Resolves when that is done or refused. */
  reExec(path: string | undefined): Promise<ReExecView>;
  /** Tries the supervisor of the installation in this directory (an absolute path; undefined: where its own lies) and has it take over, if it would. */
  upgrade(directory: string | undefined, timeoutMs: number): Promise<UpgradeView>;
  /** Resolves when the action is complete (ready, stopped, …), failed, or superseded by a later command; never rejects for an expected outcome. */
  act(service: string, action: Action): Promise<Outcome> | undefined;
  /** `signal` ends the wait early (its asker has gone); what it then resolves to is not looked at. */
  actOnSocket(socket: string, action: SocketAction): Promise<SocketOutcome> | undefined;
  waitFor(
    service: string,
    what: WaitFor,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<"reached" | "timed-out"> | undefined;
  /** The last `count` lines that are still in memory, oldest first. */
  logs(service: string, count: number): { readonly lines: readonly LogLine[]; readonly dropped: number } | undefined;
  /** Called for each new line until the returned function is called. */
  followLogs(service: string, take: (line: LogLine) => void): () => void;
  events(count: number): readonly EventView[];
  followEvents(take: (event: EventView) => void): () => void;
}
