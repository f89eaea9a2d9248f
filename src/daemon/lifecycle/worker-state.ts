import type { HookName, ServiceConfig } from "../config/config.js";
import type { Aside } from "./aside.js";
import type { Drain, Valve } from "./drain.js";
import type { End, Monotonic, StopReason } from "./end.js";
import type { RunLimit } from "./run-limit.js";

/** One process, from the request to start it until no process of its tree is left, or what is left is none of its service any more. Plain data that survives JSON. */
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
  /** So many processes of its tree were there when its own had ended, and go on (`stop.kill = "process"`). */
  readonly left?: number;
  /** SIGKILL was needed, for its process or for what that left behind: the stop or ready timeout passed. */
  readonly forced?: true;
  /** It retires because its successor is ready, so the two may run side by side. */
  readonly overlaps?: true;
  /** It came by itself, for what waits in a stranded lane or for a worker that is unhealthy, and not by a command. */
  readonly unasked?: true;
  /** It was asked how it is and has not answered as it should, often enough. */
  readonly unhealthy?: true;
  /** And what that means for new connections, where they are to be kept from it then. */
  readonly aside?: Aside;
  /** It said that it is ready before the keeper said that it started: two channels, and the second was read first. */
  readonly announced?: true;
  /** Nobody could see whether it waits for its sockets, so it was given time instead. */
  readonly unobserved?: true;
  /** What it was started with: a mark that is equal for equal configurations. Missing: it is not known. */
  readonly version?: string;
  /** Which socket of each steered group it has, from 1; missing: none of its sockets is steered. */
  readonly lane?: number;
  /**
   * WATCHDOG=1 is expected so often, in milliseconds; 0 = never, because it said so. `fed`: when one was last taken into account; missing: it is not ready yet.
   * Missing altogether: as the configuration says.
   */
  readonly watchdog?: { readonly everyMs: number; readonly fed?: Monotonic };
  /** It asked for time until then before the keeper said that it started. */
  readonly extended?: Monotonic;
  /** While it runs and there is one: how long it may. */
  readonly limit?: RunLimit;
  /** How it was kept from new connections, and what became of those it had. On a ready worker that is not aside: its valve has to be opened again. */
  readonly drain?: Drain;
}

export type WorkerState =
  | { readonly phase: "armed" }
  /** `next`: whether it goes on or is stopped if the keeper had fired it already. */
  | { readonly phase: "disarming"; readonly next: "launch" | "end" }
  /** Its before_start hooks run. `unwanted`: it is not to start any more, and they are being ended. */
  | { readonly phase: "preparing"; readonly unwanted?: true }
  | { readonly phase: "starting"; readonly deadline: Monotonic }
  /** `settled`, never after `deadline`: it is ready then if it has not said so before. */
  | { readonly phase: "warming"; readonly deadline: Monotonic; readonly settled?: Monotonic }
  /** It has said that it is ready, and counts as such once its after_start hooks are done. */
  | { readonly phase: "confirming" }
  | { readonly phase: "ready" }
  /** It gets no new connection and finishes those it has; `deadline`: connections are closed one by one then (`closing`), and at the next one what is left is cut. */
  | { readonly phase: "draining"; readonly deadline: Monotonic; readonly closing?: true }
  /** Its before_stop hooks run, before its stop signal. `end`: it has ended meanwhile. */
  | { readonly phase: "parting"; readonly end?: End }
  /** `instead` of the stop signal: SIGABRT, because its watchdog was missed; `nothing`, because it ends by itself. */
  | { readonly phase: "stopping"; readonly deadline: Monotonic; readonly instead?: "SIGABRT" | "nothing" }
  | { readonly phase: "killing" }
  /** `deadline`: its tree got the stop signal and gets SIGKILL then; without one it has got SIGKILL, or is left alone. */
  | { readonly phase: "sweeping"; readonly end: End; readonly deadline?: Monotonic }
  /** Nothing of it is left, and its after_stop hooks run. */
  | { readonly phase: "clearing"; readonly end: End }
  | { readonly phase: "gone"; readonly end: End };

export type WorkerEvent =
  /** Exec succeeded. `at` is the time of the fork. With another pid than before: that process is its main one from now on. */
  | { readonly type: "started"; readonly pid: number; readonly at: Monotonic }
  | { readonly type: "start-failed"; readonly stage: number; readonly errno: number }
  /** The worker itself said so (READY=1, a line on READY_FD), or the kernel shows it waiting for its socket. */
  | { readonly type: "announced"; readonly by: Announcer }
  /** What the kernel shows of it may not be read. */
  | { readonly type: "unobservable" }
  /** It said that it ends now, unasked (STOPPING=1). */
  | { readonly type: "leaving" }
  /** It needs at least so long from now on for what it is at (EXTEND_TIMEOUT_USEC). */
  | { readonly type: "extend"; readonly byMs: number }
  /** WATCHDOG=1. */
  | { readonly type: "alive" }
  /** WATCHDOG=trigger: it wants to be treated as if it had missed its watchdog. */
  | { readonly type: "unwell" }
  /** It was asked how it is: it has failed often enough in a row to count as unhealthy, or has answered as it should. */
  | { readonly type: "health"; readonly ok: boolean }
  /** Unhealthy as it is, it gets no new connections (`out`), or gets them because nobody else is there (`last`); or as any other again (`in`). */
  | { readonly type: "aside"; readonly to: "out" | "last" | "in" }
  /** These hooks are over; one of them has failed, and was not allowed to, or they were ended. */
  | { readonly type: "hooks"; readonly hook: HookName; readonly ok: boolean }
  /** From now on WATCHDOG=1 comes so often (WATCHDOG_USEC); 0 = never. */
  | { readonly type: "watchdog"; readonly everyMs: number }
  /** What went wrong before it counts no more for the delay of restarts (RESTART_RESET=1). */
  | { readonly type: "forgive" }
  | { readonly type: "launch" }
  /** `withinMs`: an end of everything does not wait for the whole `drain.timeout`; 0 = no drain. */
  | { readonly type: "retire"; readonly overlaps: boolean; readonly withinMs?: number }
  /** It has run for as long as it may, and nobody takes over: it drains and stops; a task stops. */
  | { readonly type: "expire" }
  /** No connection has been open for long enough: it ends unless one comes before its valve is closed. */
  | { readonly type: "idle" }
  /** What can keep new connections from it; it is not closed yet. */
  | { readonly type: "valve"; readonly valve: Valve }
  /** Its valve is closed: so many of its connections are in flight now, were in flight in all since then, and are open; `waiting`, of those in flight: it has not accepted them. */
  | {
      readonly type: "connections";
      readonly inFlight: number;
      readonly seen: number;
      readonly open: number;
      readonly waiting?: number;
      /** So many were closed by us. */
      readonly closed?: number;
    }
  | { readonly type: "reopened" }
  /** The keeper forgot the armed start (`true`), or had already fired it. */
  | { readonly type: "disarmed"; readonly inTime: boolean }
  | { readonly type: "exited"; readonly end: End }
  /** No process of its tree is left; `left`: or that many, which were to be left alone. */
  | { readonly type: "gone"; readonly left?: number }
  | { readonly type: "deadline" };

export type Announcer = "notify" | "newline" | "listening" | "probe" | "pid-file";

export type WorkerEffect =
  | { readonly type: "spawn"; readonly worker: number }
  | { readonly type: "arm"; readonly worker: number }
  | { readonly type: "disarm"; readonly worker: number }
  /** Run these one after the other, and say `hooks`. Those of it that run already are done or ended first. */
  | { readonly type: "run-hooks"; readonly worker: number; readonly hook: HookName }
  /** End what runs of its hooks, and say `hooks`. */
  | { readonly type: "end-hooks"; readonly worker: number }
  /** To the worker's own process, by name as in the configuration. */
  | { readonly type: "signal"; readonly worker: number; readonly signal: string }
  /** SIGKILL to the process and to all that descends from it. */
  | { readonly type: "kill-tree"; readonly worker: number }
  /** SIGKILL to the process alone. */
  | { readonly type: "kill-main"; readonly worker: number }
  /** Look until it waits for one of its sockets, or ask it until it answers, or until it is not warming any more; say `announced`, or `unobservable`. */
  | { readonly type: "observe"; readonly worker: number }
  /** Find out what keeps new connections from it, and say `valve`. Changes nothing. */
  | { readonly type: "find-valve"; readonly worker: number }
  /** Close the valve, then look at its connections while it drains, and say `connections` each time that they have changed. */
  | { readonly type: "close-valve"; readonly worker: number }
  /** While it is looked at: close each of its connections in a moment in which nothing is in flight on it. */
  | { readonly type: "close-connections"; readonly worker: number }
  /** Undo `close-valve`, and say `reopened`. */
  | { readonly type: "open-valve"; readonly worker: number }
  /** Its process has ended: send this to what is left of its tree, and say `gone` once a look finds nothing. */
  | { readonly type: "sweep"; readonly worker: number; readonly signal: string }
  /** Its process has ended: remember what is left of its tree, and say `gone`. */
  | { readonly type: "leave"; readonly worker: number }
  /** The keeper may forget it. */
  | { readonly type: "acknowledge"; readonly worker: number };

export type WorkerFact =
  | "started"
  | "ready"
  | "ready-timeout"
  | "draining"
  | "drain-timeout"
  | "reopened"
  | "stopping"
  | "stop-timeout"
  | "leaving"
  | "watchdog"
  | "unhealthy"
  | "recovered"
  | "set-aside"
  | "not-set-aside"
  | "kept"
  | "run-limit"
  | "moved"
  | "left-behind"
  | "ended";

export interface WorkerStep {
  readonly worker: Worker;
  readonly effects: readonly WorkerEffect[];
  readonly facts: readonly WorkerFact[];
}

export type WorkerPolicy = Pick<ServiceConfig, "ready" | "stop" | "drain" | "sockets" | "watchdogMs" | "hooks">;
