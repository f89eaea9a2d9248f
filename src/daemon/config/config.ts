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
  /** Unix sockets and fifos only. Permission bits. */
  readonly mode: number;
  readonly user?: string;
  readonly group?: string;
  readonly symlinks: readonly string[];
  readonly removeOnStop: boolean;
  readonly options: SocketOptions;
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
  readonly ready: ReadyPolicy;
  readonly restart: RestartPolicy;
  readonly stop: { readonly signal: string; readonly timeoutMs: number };
  readonly reload?: { readonly signal: string };
  /** Each worker gets a channel, HOLDFAST_CHANNEL; docs/handoff.md. */
  readonly handoff: boolean;
  readonly log: LogConfig;
}

export interface ReadyPolicy {
  /**
   * `notify`: READY=1. `newline`: a line on the descriptor in READY_FD. `spawned`: exec succeeded and it lived for `settleMs`.
   * `listening`: the kernel shows it waiting for one of its sockets. `auto`: `notify` or `listening`, whichever comes first; a service without
   * sockets never has it, because there it means `spawned` with a `settleMs` of its own. Where the kernel does not let us look, both settle instead.
   */
  readonly when: "auto" | "notify" | "listening" | "newline" | "spawned";
  readonly timeoutMs: number;
  readonly settleMs: number;
}

export interface RestartPolicy {
  readonly when: "always" | "on-failure" | "on-abnormal" | "on-success" | "never";
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
  /** Exit codes after which no automatic restart happens. */
  readonly prevent: readonly number[];
}

export type LogConfig =
  | { readonly to: "supervisor" | "inherit" | "null" }
  | {
      readonly to: "file";
      readonly path: string;
      readonly rotate?: { readonly sizeBytes: number; readonly keep: number };
    };
