import { z } from "zod";
import { LATER } from "./later.js";
import {
  account,
  annotate,
  choice,
  decimal,
  duration,
  fileMode,
  flag,
  integer,
  leaf,
  optional,
  required,
  signal,
  size,
  text,
  withDefault,
  wrongType,
} from "./leaf.js";
import { didYouMean } from "./nearest.js";
import { quote, right, wrong } from "./problem.js";
import { LIMIT_NAMES, parseLimit, parseLimitName } from "./resource-limit.js";

export type CommandInput = { readonly text: string } | { readonly words: readonly string[] };

const command = leaf<CommandInput>(
  (value) => {
    if (typeof value === "string") return value.trim() === "" ? wrong("the command is empty") : right({ text: value });
    if (!Array.isArray(value)) return wrongType("a command as a string or as a list of words", value);
    const odd = value.findIndex((word) => typeof word !== "string");
    if (odd !== -1) return wrongType(`a string as word ${odd + 1} of the command`, value[odd], "write it in quotes");
    const words = value as readonly string[];
    if (words[0] === undefined || words[0] === "") return wrong("the command names no program");
    if (words.length === 1 && /\s/.test(words[0])) {
      return wrong(`there is no program ${quote(words[0])}: a list has one item for each word`, {
        hint: `did you mean command = ${quote(words[0])}, without the brackets?`,
      });
    }
    return right({ words });
  },
  {
    anyOf: [
      { type: "string", minLength: 1 },
      { type: "array", items: { type: "string" }, minItems: 1 },
    ],
  },
);

const envName = leaf(
  (value) => {
    const name = String(value);
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== "__proto__"
      ? right(name)
      : wrong(`${quote(name)} cannot be the name of an environment variable`, {
          hint: "letters, digits and _, no digit first",
        });
  },
  { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_]*$" },
);

const envValue = leaf(
  (value) => {
    if (typeof value === "string") return right(value);
    if (typeof value === "number" && Number.isFinite(value)) return right(String(value));
    return wrongType("a string", value, typeof value === "boolean" ? `write "${value}" in quotes` : undefined);
  },
  { anyOf: [{ type: "string" }, { type: "number" }] },
);

export interface EnvFile {
  readonly path: string;
  readonly optional: boolean;
}

const envFile = leaf<EnvFile>(
  (value) => {
    if (typeof value !== "string") return wrongType("the path of a file", value);
    if (value.startsWith("-"))
      return wrong(`${quote(value)} starts with a dash`, {
        hint: `did you mean ${quote(`?${value.slice(1)}`)}, a file that may be missing?`,
      });
    const path = value.replace(/^\?/, "");
    return path === "" ? wrong("expected the path of a file") : right({ path, optional: path !== value });
  },
  { type: "string", minLength: 1 },
);

const limitName = leaf(parseLimitName, { enum: LIMIT_NAMES });
const limit = leaf(parseLimit, { anyOf: [{ type: "integer", minimum: 0 }, { type: "string" }] });

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
      value === "/dev/null" || value === "none" || value === "off"
        ? 'did you mean "null"?'
        : /^[./]/.test(value)
          ? `did you mean ${quote(`file:${value}`)}?`
          : didYouMean(value, LOG_TARGETS);
    return wrong(`expected "supervisor", "inherit", "null" or "file:PATH", found ${quote(value)}`, { hint });
  },
  { anyOf: [{ enum: LOG_TARGETS }, { type: "string", pattern: "^file:.+" }] },
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

const restart = annotate(
  z.strictObject({
    when: withDefault(choice(["always", "on-failure", "on-abnormal", "on-success", "never"]), "always", {
      is: "After which ends a worker is started again. `on-failure`: an exit code other than 0, a signal, a timeout. `on-abnormal`: a signal or a timeout. `on-success`: exit code 0.",
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
    prevent: withDefault(z.array(integer(0, 255)), [], {
      is: "Exit codes after which no automatic restart happens.",
      example: "[0, 78]",
    }),
  }),
  { shorthand: "when" },
);

const ready = annotate(
  z.strictObject({
    when: withDefault(
      choice(["auto", "notify", "newline", "spawned"], { listening: LATER.listening, probe: LATER.probe }),
      "auto",
      {
        is: "What makes a worker ready. `notify`: READY=1 on NOTIFY_SOCKET. `newline`: a line on the descriptor that READY_FD names. `spawned`: it was started and lived for `settle`. `auto`: READY=1, or it lived for `settle`, whichever comes first.",
        example: '"notify"',
      },
    ),
    timeout: withDefault(duration({ positive: true }), "30s", {
      is: "A worker that is not ready after so long has failed to start.",
      example: '"30s"',
    }),
    settle: optional(duration(), {
      is: "How long a worker must live to be ready with `auto` and `spawned`.",
      otherwise: '`"1s"` with `auto` and sockets, else `"0s"`',
      example: '"1s"',
    }),
  }),
  { shorthand: "when" },
);

const stop = annotate(
  z.strictObject({
    signal: withDefault(signal({ refuse: ["SIGSTOP"] }), "SIGTERM", {
      is: "What asks a worker to end.",
      example: '"SIGINT"',
    }),
    timeout: withDefault(duration(), "20s", {
      is: 'After so long SIGKILL goes to what is left of its process tree. `"0s"`: at once.',
      example: '"20s"',
    }),
  }),
  { shorthand: "signal" },
);

const reload = annotate(
  z.strictObject({
    signal: required(signal({ refuse: ["SIGSTOP", "SIGKILL"] }), {
      is: "What `holdfast reload` sends to each worker.",
      example: '"SIGHUP"',
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

const log = annotate(
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

/** `[service.NAME]`, and with every key optional `[defaults]`. */
export const serviceSchema = z.strictObject({
  command: required(command, {
    is: "The program and its arguments. A string is split into words as a shell would, without a shell: no variables, no globs, no pipes. A program without a slash is looked up in PATH.",
    example: '["node", "server.js"]',
  }),
  shell: withDefault(flag(), false, { is: "Run the string in `command` with `/bin/sh -c`.", example: "true" }),
  sockets: withDefault(z.array(text("the name of a socket")), [], {
    is: "Sockets that each worker gets, in this order; LISTEN_FDNAMES carries their names.",
    example: '["web"]',
  }),
  type: withDefault(choice(["daemon"], { task: LATER.task }), "daemon", {
    is: "A `daemon` is kept running.",
    example: '"daemon"',
  }),
  workers: withDefault(integer(1, 256), 1, { is: "How many workers run at the same time.", example: "4" }),
  start: withDefault(choice(["boot", "connection", "manual"]), "boot", {
    is: "`boot`: with the supervisor. `connection`: with the first connection or datagram on one of its sockets. `manual`: with `holdfast start`.",
    example: '"connection"',
  }),
  user: optional(account("user"), {
    is: "Whom the workers run as. Only root may name somebody else.",
    otherwise: "the supervisor's user",
    example: '"www"',
  }),
  group: optional(account("group"), { is: "Their group.", otherwise: "the primary group of `user`", example: '"www"' }),
  groups: optional(z.array(account("group")), {
    is: "Their supplementary groups. Needs root.",
    otherwise: "those of `user`",
    example: '["ssl-cert"]',
  }),
  working_directory: optional(text("the path of a folder"), {
    is: "Where the workers start.",
    otherwise: "the folder of the main configuration file",
    example: '"/srv/web"',
  }),
  umask: withDefault(fileMode(0o777), "0022", {
    is: "The permission bits that files of the workers do not get, in octal.",
    example: '"0027"',
  }),
  nice: optional(integer(-20, 19), {
    is: "Scheduling priority: 19 is the politest, below 0 needs root.",
    otherwise: "the supervisor's",
    example: "5",
  }),
  oom_score_adjust: optional(integer(-1000, 1000), {
    is: "How soon the kernel kills a worker when memory runs out: 1000 first, below 0 needs root.",
    otherwise: "the supervisor's",
    example: "500",
  }),
  env: withDefault(
    z.record(envName, envValue),
    {},
    {
      is: "Environment variables. They win over `env_files` and over what is inherited.",
      example: '{ NODE_ENV = "production" }',
    },
  ),
  env_files: withDefault(z.array(envFile), [], {
    is: "Files with NAME=value lines, read at each start; a later one wins. `?` before the path: it may be missing.",
    example: '["/etc/web.env", "?/run/secrets/web.env"]',
  }),
  inherit_env: withDefault(flag(), false, {
    is: "Pass on the supervisor's environment. Without it workers get PATH, LANG, TZ, HOME and USER, and what stands here.",
    example: "true",
  }),
  limits: withDefault(
    z.record(limitName, limit),
    {},
    {
      is: `Resource limits of getrlimit(2): ${LIMIT_NAMES.map((name) => `\`${name}\``).join(", ")}. A number or size for both limits, \`"soft:hard"\`, or \`"unlimited"\`.`,
      otherwise: "those that Holdfast was started with",
      example: '{ nofile = 65536, core = 0, nproc = "100:200" }',
    },
  ),
  no_new_privileges: withDefault(flag(), true, {
    is: "No set-user-ID program gives a worker more rights.",
    example: "false",
  }),
  ready: withDefault(
    ready,
    {},
    { is: "When a worker is ready. A string stands for `when`.", example: '{ when = "notify", timeout = "30s" }' },
  ),
  restart: withDefault(
    restart,
    {},
    { is: "When a worker is started again. A string stands for `when`.", example: '"on-failure"' },
  ),
  stop: withDefault(
    stop,
    {},
    { is: "How a worker is stopped. A string stands for `signal`.", example: '{ signal = "SIGINT", timeout = "5s" }' },
  ),
  reload: optional(reload, {
    is: "How a worker reads its own configuration again. A string stands for `signal`.",
    otherwise: "`holdfast reload` is refused",
    example: '{ signal = "SIGHUP" }',
  }),
  log: withDefault(log, {}, { is: "Where output goes. A string stands for `to`.", example: '"file:/var/log/web.log"' }),
});

export type ServiceInput = z.output<typeof serviceSchema>;

/** `[defaults]`: nothing in it is required, and what it does not say is not filled in. */
export const defaultsSchema = serviceSchema.partial();
