import { z } from "zod";
import { optional, withDefault } from "./key.js";
import {
  annotate,
  choice,
  decimal,
  duration,
  exitStatus,
  flag,
  integer,
  leaf,
  signal,
  size,
  wrongType,
} from "./leaf.js";
import { didYouMean } from "./nearest.js";
import { quote, right, wrong } from "./problem.js";
import { command } from "./schema-command.js";
import { probeSchema } from "./schema-probe.js";

// The tables inside a service: when it is ready, started again, stopped, reloaded, and where its output goes.

export type LogTarget =
  | { readonly to: "supervisor" | "inherit" | "null" }
  | { readonly to: "file"; readonly path: string };

const LOG_TARGETS = ["supervisor", "inherit", "null"] as const;

const logTarget = leaf<LogTarget>(
  (value) => {
    if (typeof value !== "string") return wrongType('"supervisor", "inherit", "null" or "file:PATH"', value);
    const to = LOG_TARGETS.find((target) => target === value);
    if (to !== undefined) return right({ to });
    const path = /^file:(?:\/\/(?=\/))?(.*)$/s.exec(value)?.[1];
    if (path !== undefined)
      return /(^|\/)\.{0,2}$/.test(path) ? wrong(`${quote(value)} names no file`) : right({ to: "file", path });
    const hint =
      value === "stdout" || value === "stderr"
        ? 'did you mean "inherit", the supervisor\'s own output?'
        : value === "/dev/null" || value === "none" || value === "off"
          ? 'did you mean "null"?'
          : /^[./]/.test(value)
            ? `did you mean ${quote(`file:${value}`)}?`
            : didYouMean(value, LOG_TARGETS);
    return wrong(`expected "supervisor", "inherit", "null" or "file:PATH", found ${quote(value)}`, { hint });
  },
  { anyOf: [{ enum: LOG_TARGETS }, { type: "string", pattern: "^file:.+" }] },
  '`"supervisor"`, `"inherit"`, `"null"`, `"file:PATH"`',
);

const backoff = z.strictObject({
  initial: withDefault(duration(), "100ms", { is: "The first delay.", example: '"100ms"' }),
  factor: withDefault(decimal(1, 100), 2, { is: "Each delay is so many times the one before.", example: "2" }),
  max: withDefault(duration(), "30s", { is: "The longest delay.", example: '"30s"' }),
  jitter: withDefault(decimal(0, 1), 0.2, {
    is: "The share of a delay that is random, in both directions, so that services do not restart in step.",
    example: "0.2",
  }),
  reset_after: withDefault(duration(), "60s", {
    is: "A worker that was ready for so long ends the count of failures.",
    example: '"60s"',
  }),
});

const startLimit = z.strictObject({
  starts: withDefault(integer(1, 10_000), 10, { is: "So many automatic starts …", example: "10" }),
  interval: withDefault(duration({ positive: true }), "60s", {
    is: "… in so long. Then Holdfast waits until the oldest has left the interval, and goes on.",
    example: '"60s"',
  }),
});

const RESTART_WHEN = ["always", "on-failure", "on-abnormal", "on-abort", "on-watchdog", "on-success", "never"] as const;

export const restartSchema = annotate(
  z.strictObject({
    when: withDefault(choice(RESTART_WHEN, { no: 'write "never"' }), "always", {
      is: "After which ends a worker is started again. `on-failure`: an exit code other than 0, a signal, a timeout. `on-abnormal`: a signal or a timeout. `on-abort`: a signal that Holdfast did not send. `on-watchdog`: the watchdog. `on-success`: exit code 0. Polite signals (see `success`) count as exit code 0.",
      example: '"on-failure"',
    }),
    backoff: withDefault(
      backoff,
      {},
      {
        is: "The delay before a restart. The first one after a healthy run is at once.",
        example: '{ initial = "100ms", max = "30s" }',
      },
    ),
    limit: withDefault(
      startLimit,
      {},
      {
        is: "The start limit. It never holds for good, and a command of the operator overrides it.",
        example: '{ starts = 10, interval = "60s" }',
      },
    ),
    success: withDefault(z.array(exitStatus()), [], {
      is: "Exit codes and signals that are as good as exit code 0. SIGHUP, SIGINT, SIGTERM and SIGPIPE are, of a daemon.",
      example: '[143, "SIGUSR1"]',
    }),
    prevent: withDefault(z.array(exitStatus()), [], {
      is: "Exit codes and signals after which no automatic restart happens.",
      example: '[0, 78, "SIGKILL"]',
    }),
    force: withDefault(z.array(exitStatus()), [], {
      is: "Exit codes and signals after which a worker is started again whatever `when` says, unless they stand in `prevent` as well. A task that has succeeded is not.",
      example: "[75]",
    }),
  }),
  { shorthand: "when" },
);

/** `Type=` of unit files. */
const UNIT_TYPES = {
  simple: 'write "spawned", or better "auto"',
  exec: 'write "spawned", or better "auto"',
  forking: "leave ready out, and write pid_file, or better run it in the foreground",
  oneshot: 'leave ready out, and write type = "task"',
  "notify-reload": 'write "notify", and reload = "SIGHUP"',
};

/** `KillMode=` of unit files. */
const UNIT_KILL_MODES = {
  "control-group": 'write "tree"',
  none: 'what is not to end with the worker is left alone with "process", until Holdfast itself ends',
};

export const readySchema = annotate(
  z.strictObject({
    when: withDefault(choice(["auto", "notify", "listening", "newline", "spawned", "probe"], UNIT_TYPES), "auto", {
      is: "What makes a worker ready. `notify`: READY=1 on NOTIFY_SOCKET. `newline`: a line on the descriptor that READY_FD names. `spawned`: it was started and lived for `settle`. `listening`: the kernel shows it waiting for one of its sockets (epoll, accept, poll, select). `auto`: `notify` or `listening`, whichever comes first; without sockets it must live for `settle`. `probe`: it answered `probe`; that is also what `auto` means where there is one. With `pid_file`, `auto` waits for what that says.",
      example: '"notify"',
    }),
    timeout: withDefault(duration({ positive: true }), "30s", {
      is: "A worker that is not ready after so long has failed to start.",
      example: '"30s"',
    }),
    settle: optional(duration(), {
      is: "How long a worker must live to be ready with `spawned`, and with `auto` without sockets; with sockets only where the kernel does not let Holdfast look.",
      otherwise: '`"0s"` with `spawned`, else `"1s"`',
      example: '"1s"',
    }),
    probe: optional(probeSchema, {
      is: "How the worker is asked whether it is ready. Only an answer of this very worker counts, also where others share its socket.",
      otherwise: "nothing is asked",
      example: '{ http = "/health", every = "250ms", timeout = "2s" }',
    }),
  }),
  { shorthand: "when" },
);

export const drainSchema = annotate(
  z.strictObject({
    when: withDefault(choice(["auto", "signal"]), "auto", {
      is: "What a worker that is to end gets first. `auto`: no new connections, and time for those in flight; where nothing can keep new ones from it (`status` says why), as `signal`. `signal`: its stop signal at once.",
      example: '"signal"',
    }),
    timeout: withDefault(duration(), "30s", {
      is: 'What is in flight after so long is cut by the stop signal. `"0s"`: as `signal`.',
      example: '"5min"',
    }),
    idle: withDefault(duration(), "200ms", {
      is: "A connection on which the worker spoke last, and nobody since for so long, is not in flight: a kept-alive one between two requests.",
      example: '"1s"',
    }),
    wait_for: withDefault(choice(["requests", "connections"]), "requests", {
      is: "`requests`: what is in flight. `connections`: whatever is open, also if it is silent, as a websocket may be.",
      example: '"connections"',
    }),
  }),
  { shorthand: "when" },
);

export const rolloutSchema = z.strictObject({
  surge: withDefault(integer(0, 256), 1, {
    is: "So many successors at the same time start beside the workers that they replace.",
    example: "2",
  }),
  unavailable: withDefault(integer(0, 256), 0, {
    is: "So many workers at the same time may end before their successors start, for what cannot run twice or has no memory for it.",
    example: "1",
  }),
  pause: withDefault(duration(), "0s", {
    is: "Between an instance that is replaced and the next one.",
    example: '"10s"',
  }),
});

export const stopSchema = annotate(
  z.strictObject({
    signal: withDefault(signal({ refuse: ["SIGSTOP"] }), "SIGTERM", {
      is: "What asks a worker to end.",
      example: '"SIGINT"',
    }),
    timeout: withDefault(duration(), "20s", {
      is: 'After so long SIGKILL goes to what is left of its process tree. `"0s"`: at once.',
      example: '"20s"',
    }),
    kill: withDefault(choice(["tree", "mixed", "process"], UNIT_KILL_MODES), "tree", {
      is: "What the rest of its process tree gets once its own process has ended. `tree`: the stop signal, and SIGKILL after `timeout`. `mixed`: SIGKILL at once. `process`: nothing; stop signal and SIGKILL go to the worker's own process alone, and what it leaves behind, also by a crash, goes on beside the next worker until Holdfast itself ends.",
      example: '"mixed"',
    }),
  }),
  { shorthand: "signal" },
);

export const reloadSchema = annotate(
  z.strictObject({
    signal: optional(signal({ refuse: ["SIGSTOP", "SIGKILL"] }), {
      is: "What `holdfast reload` sends to each worker. This or `command` must be there.",
      otherwise: "no signal is sent",
      example: '"SIGHUP"',
    }),
    command: optional(command, {
      is: "What `holdfast reload` runs for each worker instead, as the worker runs (user, folder, environment, limits), with MAINPID, HOLDFAST_WORKER and HOLDFAST_GENERATION of that worker. It has failed if it does not exit with 0 within `timeout`. No shell reads it.",
      otherwise: "see `signal`",
      example: '["bin/reload", "--graceful"]',
    }),
    timeout: withDefault(duration({ positive: true }), "30s", {
      is: 'With `ready.when = "notify"`, `holdfast reload` waits so long until each worker has said RELOADING=1 and then READY=1; with `auto`, from a worker that has said READY=1 once.',
      example: '"30s"',
    }),
    wait: withDefault(flag(), true, {
      is: "Wait for that. `false` is for programs that say READY=1 when they start and nothing when they reload.",
      example: "false",
    }),
  }),
  { shorthand: "signal" },
);

const rotate = annotate(
  z.strictObject({
    size: withDefault(size(1024), "20MiB", {
      is: "A file that has grown to this size is put aside; at least 1 KiB.",
      example: '"20MiB"',
    }),
    keep: withDefault(integer(0, 1000), 5, { is: "How many files that were put aside are kept.", example: "5" }),
  }),
  { shorthand: "size" },
);

export const logSchema = annotate(
  z.strictObject({
    to: withDefault(logTarget, "supervisor", {
      is: "Where a worker's output goes. `supervisor`: kept for `holdfast logs` and written to the supervisor's own log. `file:PATH`. `inherit`: the supervisor's own output, untouched. `null`: nowhere.",
      example: '"file:/var/log/web.log"',
    }),
    rotate: optional(rotate, {
      is: "When and how the log file is put aside.",
      otherwise: "the file grows",
      example: '{ size = "20MiB", keep = 5 }',
    }),
  }),
  { shorthand: "to" },
);
