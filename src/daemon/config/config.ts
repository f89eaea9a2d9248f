import type { Capability } from "./capability.js";

export type { Capability } from "./capability.js";

/**
 * The configuration after parsing: every default filled in, every unit resolved, plain data.
 *
 * It survives JSON.stringify and JSON.parse unchanged, because the supervisor keeps the applied configuration in a
 * memfd that the keeper holds: after a crash the new supervisor continues with what was applied, not with what the
 * file says by then. Durations are milliseconds, sizes bytes, addresses numeric.
 */
export interface Config {
  readonly version: 1;
  /** Absolute paths of the files that were read, the main one first. */
  readonly files: readonly string[];
  readonly supervisor: SupervisorConfig;
  /** By name; names match `[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}`. */
  readonly sockets: Readonly<Record<string, SocketConfig>>;
  readonly services: Readonly<Record<string, ServiceConfig>>;
}

export interface SupervisorConfig {
  /** Absolute path of the control socket. */
  readonly control: string;
  /** Permission bits of the control socket, e.g. 0o660. */
  readonly controlMode: number;
  /** Group (name or number as text) whose members may read and operate; undefined: none but root and our own user. */
  readonly controlGroup?: string;
  readonly log: {
    readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
    /** `auto`: pretty on a terminal, JSON elsewhere. */
    readonly format: "auto" | "json" | "pretty";
  };
  /** How long the supervisor may be silent before the keeper replaces it; 0 = for ever. */
  readonly watchdogMs: number;
}

export type Address =
  | { readonly kind: "tcp" | "udp"; readonly host: string; readonly port: number; readonly family: "ipv4" | "ipv6" }
  /** `path` is absolute, or starts with `@` for an abstract name. */
  | { readonly kind: "unix" | "unix-dgram" | "unix-seqpacket"; readonly path: string }
  | { readonly kind: "fifo"; readonly path: string };

export interface SocketConfig {
  readonly name: string;
  /** At least one; LISTEN_FDS carries them in this order. */
  readonly listen: readonly Address[];
  /** As written, one for each `listen`, e.g. `tcp://127.0.0.1:8080`; used in messages and views. */
  readonly listenText: readonly string[];
  readonly backlog: number;
  /** `steered`: every worker has a socket of its own at each address, and the kernel chooses among those that are ready. TCP and UDP only. */
  readonly distribution: "shared" | "steered";
  /** Unix sockets and fifos only. Permission bits. */
  readonly mode: number;
  readonly user?: string;
  readonly group?: string;
  readonly symlinks: readonly string[];
  readonly removeOnStop: boolean;
  readonly options: SocketOptions;
  /** One process for each connection; undefined: workers accept. */
  readonly accept?: AcceptPolicy;
}

/** How many processes a socket may have for its connections. */
export interface AcceptPolicy {
  /** At the same time. */
  readonly most: number;
  /** At the same time of one source; undefined: as many as of all. */
  readonly source?: {
    readonly most: number;
    /** Bits of an address that make a source. */
    readonly ipv4: number;
    readonly ipv6: number;
  };
  /** At `most`: `queue` leaves connections in the kernel's queue, `refuse` closes them. */
  readonly atLimit: "queue" | "refuse";
  /** So many starts in so long; then connections wait for the rest of it. */
  readonly trigger: { readonly starts: number; readonly intervalMs: number };
}

/** Socket options, set before bind where the kernel asks for it. Undefined = the kernel's default. */
export interface SocketOptions {
  readonly ipv6Only?: boolean;
  readonly reusePort?: boolean;
  readonly freeBind?: boolean;
  readonly transparent?: boolean;
  readonly bindToDevice?: string;
  readonly mark?: number;
  readonly tos?: number;
  readonly ttl?: number;
  readonly priority?: number;
  readonly keepalive?: boolean;
  readonly noDelay?: boolean;
  /** Seconds, as TCP_DEFER_ACCEPT counts. */
  readonly deferAcceptSeconds?: number;
  /** Length of the queue of fast-open requests. */
  readonly fastOpen?: number;
  /** Bytes. */
  readonly receiveBuffer?: number;
  readonly sendBuffer?: number;
  readonly passCredentials?: boolean;
  /** Throw away what waits in the queue before the socket is handed out again after a stop. */
  readonly flushPending?: boolean;
}

export interface ServiceConfig {
  readonly name: string;
  /** argv; with `shell` it is `["/bin/sh", "-c", text]` already. argv[0] without a slash is looked up in PATH. */
  readonly command: readonly string[];
  /** Names of sockets, in the order of LISTEN_FDS. */
  readonly sockets: readonly string[];
  /** 1 to 256. */
  readonly workers: number;
  /** It runs to completion, and its `ready.when` is `completed`. Missing: a daemon. */
  readonly type?: "task";
  /** Of a task: once it has completed it counts as active. */
  readonly remainAfterExit?: true;
  /** What others have to be before it starts: what it says, what it requires or is bound to, and who says `before`. No cycles. */
  readonly after?: Readonly<Record<string, "started" | "ready" | "completed">>;
  readonly requires?: readonly string[];
  readonly wants?: readonly string[];
  readonly bindsTo?: readonly string[];
  readonly partOf?: readonly string[];
  /** On both sides, whoever says it. */
  readonly conflicts?: readonly string[];
  readonly onFailure?: readonly string[];
  readonly start: "boot" | "connection" | "manual";
  readonly user?: string;
  readonly group?: string;
  /** Supplementary groups; undefined: those of `user` from the group file. */
  readonly groups?: readonly string[];
  /** Absolute. Undefined: the folder of the main configuration file. */
  readonly workingDirectory?: string;
  readonly umask: number;
  readonly nice?: number;
  readonly oomScoreAdjust?: number;
  readonly env: Readonly<Record<string, string>>;
  readonly envFiles: readonly { readonly path: string; readonly optional: boolean }[];
  readonly inheritEnv: boolean;
  /** By lower-case name without RLIMIT_ (`nofile`); Infinity is written as the string "unlimited" to survive JSON. */
  readonly limits: Readonly<
    Record<string, { readonly soft: number | "unlimited"; readonly hard: number | "unlimited" }>
  >;
  readonly noNewPrivileges: boolean;
  /** Exactly these; undefined: what the user has. */
  readonly capabilities?: readonly Capability[];
  /** What stays in the bounding set; undefined: it is left as it is. */
  readonly capabilityBounding?: readonly Capability[];
  /** Numbers of processors, ascending. */
  readonly cpuAffinity?: readonly number[];
  /** 0 to 7; 0 for `idle`. */
  readonly io?: { readonly class: "realtime" | "best-effort" | "idle"; readonly level: number };
  /** 0 for those that have none. */
  readonly scheduling?: {
    readonly policy: "other" | "batch" | "idle" | "fifo" | "round-robin";
    readonly priority: number;
  };
  /** Made before a start; undefined: none. At most one of each kind. */
  readonly directories?: readonly ServiceDirectories[];
  /** Absolute. Its program goes into the background, and names there the process that it goes on as. */
  readonly pidFile?: string;
  readonly ready: ReadyPolicy;
  readonly health?: HealthPolicy;
  readonly restart: RestartPolicy;
  readonly rollout: RolloutPolicy;
  /** With `start = "connection"`: no connection has been open for so long, so its workers end until the next one. Undefined: they stay. */
  readonly idleStopMs?: number;
  /** A worker that has been ready for so long gets a successor, or is ended; a task, or a process for one connection, that has run for so long is ended. Undefined: never. */
  readonly runLimitMs?: number;
  readonly drain: DrainPolicy;
  readonly stop: StopPolicy;
  readonly reload?: ReloadPolicy;
  /** Commands before and after the start and the stop of a worker, each list in order. */
  readonly hooks?: Hooks;
  /** Run before a restart or an apply touches anything of it; its failure refuses them. */
  readonly check?: CheckPolicy;
  /** WATCHDOG=1 is expected so often from a worker that is ready; undefined: never. */
  readonly watchdogMs?: number;
  /** How many descriptors each instance may leave for its next worker (FDSTORE=1); undefined: none. 1 to 240. */
  readonly fdStore?: number;
  /** Whose messages on NOTIFY_SOCKET count, until a worker says otherwise; undefined: `all`. */
  readonly notifyAccess?: Exclude<NotifyAccess, "all">;
  /** The folder that sd_booted(3) looks for is there before a worker starts. */
  readonly pretendBooted?: true;
  /** SIGPIPE is ignored in its workers until they say otherwise. */
  readonly ignoreSigpipe: boolean;
  /** Each worker gets a channel, HOLDFAST_CHANNEL; docs/handoff.md. */
  readonly handoff: boolean;
  readonly log: LogConfig;
  /** `socket`: its one socket, or the connection, is stdin and stdout, and stderr is logged. Undefined: sockets are in LISTEN_FDS alone. */
  readonly stdio?: "socket";
}

/** Of a worker: everybody of its tree, its main process (`exec` is the same: nothing else of a service is told where to speak), or nobody. */
export type NotifyAccess = "all" | "exec" | "main" | "none";

export type DirectoryKind = "runtime" | "state" | "cache" | "logs" | "configuration";

export interface ServiceDirectories {
  readonly kind: DirectoryKind;
  /** Absolute. */
  readonly base: string;
  /** Relative to it, without `.` and `..`. */
  readonly names: readonly string[];
  readonly mode: number;
  /** Of `runtime`: they are not removed when the service stops. */
  readonly preserve?: true;
}

export interface ReadyPolicy {
  /**
   * `notify`: READY=1. `newline`: a line on the descriptor in READY_FD. `spawned`: exec succeeded and it lived for `settleMs`.
   * `listening`: the kernel shows it waiting for one of its sockets. `auto`: `notify` or `listening`, whichever comes first; a service without
   * sockets never has it, because there it means `spawned` with a `settleMs` of its own. Where the kernel does not let us look, both settle instead.
   * `probe`: it answered `probe`, which is there then and only then. `pid-file`: its first process has ended with 0, and `pidFile` names the one it goes on as.
   * `completed`, of a task: it never is, it ends; `timeoutMs` bounds how long it runs.
   */
  readonly when: "auto" | "notify" | "listening" | "newline" | "spawned" | "probe" | "pid-file" | "completed";
  readonly timeoutMs: number;
  readonly settleMs: number;
  readonly probe?: ProbePolicy;
}

export type ProbeAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly family: "ipv4" | "ipv6" }
  | { readonly kind: "unix"; readonly path: string };

/** How a worker is asked whether it is well. */
export interface Asked {
  /** undefined: the worker's own, the first of its service's tcp and unix stream sockets. */
  readonly address?: ProbeAddress;
  /** undefined: a connection that it accepts is enough. */
  readonly http?: {
    /** Starts with a slash; may have a query. */
    readonly path: string;
    /** For the Host header, as it was written; undefined: the address. */
    readonly host?: string;
    /** Good answers; empty: 200 to 399. */
    readonly status: readonly number[];
  };
  /** A program and its arguments, asked instead of the worker; without the two above. */
  readonly exec?: readonly string[];
  readonly everyMs: number;
  readonly timeoutMs: number;
}

/** Until it is ready. */
export interface ProbePolicy extends Asked {
  /** In a row. */
  readonly successes: number;
}

/** Once it is ready. */
export interface HealthPolicy extends Asked {
  /** In a row, until it counts as unhealthy. */
  readonly failures: number;
  /** In a row, until it counts as healthy again; undefined: 1. */
  readonly successes?: number;
  /**
   * `restart`: it gets a successor, and retires once that is ready. `drain`: new connections are kept from it until it is healthy again, unless it is the
   * last one. `report`: no more than words.
   */
  readonly action: "restart" | "drain" | "report";
}

export type HookName = "before_start" | "after_start" | "before_stop" | "after_stop";

export type Hooks = { readonly [name in HookName]?: readonly Hook[] };

export interface Hook {
  readonly command: readonly string[];
  /** Its failure changes nothing. */
  readonly mayFail: boolean;
  readonly timeoutMs: number;
}

export interface CheckPolicy {
  readonly command: readonly string[];
  readonly timeoutMs: number;
}

export interface StopPolicy {
  readonly signal: string;
  /** From the stop signal to SIGKILL. */
  readonly timeoutMs: number;
  /** What is left of the tree once the worker's own process has ended gets SIGKILL at once, or goes on; undefined: the stop signal, and the rest of the time. */
  readonly kill?: "mixed" | "process";
}

/** A signal or a command. */
export interface ReloadPolicy {
  readonly signal?: string;
  readonly command?: readonly string[];
  /** Until READY=1 after RELOADING=1, of workers that notify. */
  readonly timeoutMs: number;
  /** Whether that is waited for. */
  readonly wait: boolean;
}

export interface RestartPolicy {
  readonly when: "always" | "on-failure" | "on-abnormal" | "on-abort" | "on-watchdog" | "on-success" | "never";
  readonly backoff: {
    readonly initialMs: number;
    readonly factor: number;
    readonly maxMs: number;
    /** 0 to 1: the share of the delay that is random, in both directions. */
    readonly jitter: number;
    /** A worker that was ready for so long ends the count of failures. */
    readonly resetAfterMs: number;
  };
  /** More automatic starts than `starts` in `intervalMs`: wait until the oldest has left the interval, then go on. */
  readonly limit: { readonly starts: number; readonly intervalMs: number };
  /** Ends after which no automatic restart happens; it wins over `force`. */
  readonly prevent: readonly ExitStatus[];
  /** Ends after which one happens, whatever `when` says; undefined: none. */
  readonly force?: readonly ExitStatus[];
  /** Ends that are as good as exit code 0; undefined: none. */
  readonly success?: readonly ExitStatus[];
}

/** An exit code, or the number of a signal. */
export type ExitStatus = number | { readonly signal: number };

export interface DrainPolicy {
  /** `auto`: a worker that retires gets no new connections and finishes those in flight before its stop signal. `signal`: the signal at once. */
  readonly when: "auto" | "signal";
  /** What is in flight after so long is cut; 0 = as `signal`. */
  readonly timeoutMs: number;
  /** A connection on which the worker spoke last, and nobody since for so long, is not in flight. */
  readonly idleMs: number;
  /** `connections`: each one counts until it is closed, for what talks rarely (websockets). */
  readonly waitFor: "requests" | "connections";
}

/** How many instances a rolling restart has in hand at the same time; at least one in all. */
export interface RolloutPolicy {
  /** So many successors beside what they replace. */
  readonly surge: number;
  /** So many workers retire before their successors start. */
  readonly unavailable: number;
  /** Between one instance and the next. */
  readonly pauseMs: number;
}

export type LogConfig =
  | { readonly to: "supervisor" | "inherit" | "null" }
  | {
      readonly to: "file";
      readonly path: string;
      readonly rotate?: { readonly sizeBytes: number; readonly keep: number };
    };
