import { z } from "zod";
import { optional, required, withDefault } from "./key.js";
import { account, choice, duration, fileMode, flag, integer, leaf, path, text, wrongType } from "./leaf.js";
import { quote, right, wrong } from "./problem.js";
import { LIMIT_NAMES, parseLimit, parseLimitName } from "./resource-limit.js";
import { command } from "./schema-command.js";
import { checkSchema, hooksSchema } from "./schema-hooks.js";
import { orderKeys } from "./schema-order.js";
import {
  drainSchema,
  logSchema,
  readySchema,
  reloadSchema,
  restartSchema,
  rolloutSchema,
  stopSchema,
} from "./schema-policy.js";
import { directoryKeys, privilegeKeys } from "./schema-privileges.js";
import { healthSchema } from "./schema-probe.js";

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
  "string",
);

const envValue = leaf(
  (value) => {
    if (typeof value === "string") return right(value);
    if (typeof value === "number" && Number.isFinite(value)) return right(String(value));
    return wrongType("a string", value, typeof value === "boolean" ? `write "${value}" in quotes` : undefined);
  },
  { anyOf: [{ type: "string" }, { type: "number" }] },
  "string",
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
  "string",
);

const limitName = leaf(parseLimitName, { enum: LIMIT_NAMES }, "name");
const limit = leaf(parseLimit, { anyOf: [{ type: "integer", minimum: 0 }, { type: "string" }] }, "limit");

/** `Type=` of unit files. */
const UNIT_TYPES = {
  oneshot: 'write "task"',
  forking: "leave type out, and write pid_file, or better run it in the foreground",
  notify: 'leave type out, and write ready = "notify"',
  "notify-reload": 'leave type out, and write ready = "notify" and reload = "SIGHUP"',
  simple: 'leave type out; ready = "spawned" means the same',
  exec: 'leave type out; ready = "spawned" means the same',
};

const STARTS = {
  "multi-user.target": 'write "boot"',
  "sockets.target": 'write "connection"',
  enabled: 'write "boot"',
  auto: 'write "boot"',
  disabled: 'write "manual"',
};

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
  type: withDefault(choice(["daemon", "task"], UNIT_TYPES), "daemon", {
    is: "A `daemon` is kept running. A `task` runs to completion: exit code 0 is success, everything else a failure. Its `ready.timeout`, where it says one itself, is the longest time that it may run; `restart.when` counts for failures only and is `never` unless somebody says otherwise.",
    example: '"task"',
  }),
  remain_after_exit: withDefault(flag(), false, {
    is: "Of a task: once it has completed it counts as active, so that `holdfast start`, and the start of what requires it, do not run it again; `holdfast restart` does.",
    example: "true",
  }),
  workers: withDefault(integer(1, 256), 1, { is: "How many workers run at the same time.", example: "4" }),
  start: withDefault(choice(["boot", "connection", "manual"], STARTS), "boot", {
    is: "`boot`: with the supervisor. `connection`: with the first connection or datagram on one of its sockets. `manual`: with `holdfast start`.",
    example: '"connection"',
  }),
  ...orderKeys,
  idle_stop: optional(duration({ positive: true }), {
    is: 'With `start = "connection"`: once no connection has been open for so long its workers end, and the next connection starts one again.',
    otherwise: "they stay",
    example: '"10min"',
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
  working_directory: optional(path("the path of a folder"), {
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
  pid_file: optional(path("the path of a file"), {
    is: "For a program that goes into the background: the file in which it names the process that it goes on as. That one must be of the worker's tree. The worker is ready once its first process has ended with 0 and the file names another one, unless `ready.when` says something else; a ready worker whose main process ends goes on with the one that the file names then.",
    otherwise: "the end of the process that was started is the worker's",
    example: '"/run/web.pid"',
  }),
  ...privilegeKeys,
  ...directoryKeys,
  ready: withDefault(
    readySchema,
    {},
    { is: "When a worker is ready. A string stands for `when`.", example: '{ when = "notify", timeout = "30s" }' },
  ),
  restart: withDefault(
    restartSchema,
    {},
    { is: "When a worker is started again. A string stands for `when`.", example: '"on-failure"' },
  ),
  rollout: withDefault(
    rolloutSchema,
    {},
    { is: "How many instances a rolling restart has in hand at the same time.", example: "{ surge = 2 }" },
  ),
  drain: withDefault(
    drainSchema,
    {},
    {
      is: "What a worker may finish before it is stopped. A string stands for `when`.",
      example: '{ timeout = "5min" }',
    },
  ),
  stop: withDefault(
    stopSchema,
    {},
    { is: "How a worker is stopped. A string stands for `signal`.", example: '{ signal = "SIGINT", timeout = "5s" }' },
  ),
  health: optional(healthSchema, {
    is: "Each ready worker is asked at intervals whether it is well. A string stands for `http`.",
    otherwise: "nobody asks",
    example: '{ http = "/health", every = "10s", failures = 3 }',
  }),
  reload: optional(reloadSchema, {
    is: "How a worker reads its own configuration again. A string stands for `signal`.",
    otherwise: "`holdfast reload` is refused",
    example: '{ signal = "SIGHUP" }',
  }),
  hooks: optional(hooksSchema, {
    is: "Commands before and after the start and the stop of each worker. They run as workers do (user, folder, environment, limits), one after the other, with MAINPID, HOLDFAST_WORKER and HOLDFAST_GENERATION of the worker, and where it stops SERVICE_RESULT, EXIT_CODE and EXIT_STATUS as systemd sets them.",
    otherwise: "none run",
    example: '{ before_start = ["bin/prepare"], after_stop = ["bin/clean"] }',
  }),
  check: optional(checkSchema, {
    is: "Run before `holdfast restart`, or an `apply` that changes the service, touches anything: if it does not exit with 0 that is refused, with the last line that it wrote. It runs as a worker would. A string stands for `command`.",
    otherwise: "nothing is asked",
    example: '["nginx", "-t"]',
  }),
  watchdog: optional(duration({ positive: true }), {
    is: "WATCHDOG=1 is expected so often from each worker that is ready (WATCHDOG_USEC tells it). One that is silent for longer gets SIGABRT, SIGKILL after `stop.timeout`, and is restarted as after a crash.",
    otherwise: "no worker is taken for hung",
    example: '"30s"',
  }),
  run_limit: optional(duration({ positive: true }), {
    is: "A worker that has been ready for so long gets a successor and retires once that is ready, as in a restart; backoff and start limit hold. With `rollout.surge = 0` it retires first. Where `restart.when` wants no other one after a timeout (`never`, `on-success`), it drains and gets its stop signal, and its end counts as a timeout. A task that has run for so long gets its stop signal as well, and so does a process for one connection. EXTEND_TIMEOUT_USEC gives more time.",
    otherwise: "it may run for ever",
    example: '"1d"',
  }),
  notify_access: withDefault(choice(["all", "exec", "main", "none"]), "all", {
    is: "Whose messages on NOTIFY_SOCKET count. `all`: those of every process of the worker's tree. `main`, `exec`: those of its main process. `none`: nobody's. A worker may change it for itself (NOTIFYACCESS).",
    example: '"main"',
  }),
  fd_store: optional(integer(1, 240), {
    is: "So many descriptors may each instance leave with Holdfast (FDSTORE=1) for its next worker, which gets them after the sockets in LISTEN_FDS. They survive crashes and restarts, and are closed by `holdfast stop`, or when the service has ended and is not started again.",
    otherwise: "what is left is closed",
    example: "16",
  }),
  pretend_booted: withDefault(flag(), false, {
    is: "Make the folder `/run/systemd/system` before a worker starts, where it is missing: programs that ask sd_booted(3), as unbound does, use LISTEN_FDS only where it is there. Everything else on the machine sees it as well, and Holdfast leaves it there. Needs root.",
    example: "true",
  }),
  ignore_sigpipe: withDefault(flag(), true, {
    is: "Start workers with SIGPIPE ignored, as systemd does: a write to a connection that was closed fails with EPIPE instead of ending the worker.",
    example: "false",
  }),
  stdio: optional(choice(["log", "socket"]), {
    is: "`socket` makes the one socket of the service stdin and stdout, or with `accept` the connection, as inetd does (`wait` and `nowait`), and names it in no LISTEN_FDS; stderr goes to the log. `log`: stdin is `/dev/null`, both outputs are logged, and sockets are passed in LISTEN_FDS alone, a connection with the name `connection`.",
    otherwise: "log",
    example: '"socket"',
  }),
  handoff: withDefault(flag(), false, {
    is: "Give each worker a channel (HOLDFAST_CHANNEL) over which sockets come and go without a restart, and over which it leaves open connections to its successor. For programs that use `holdfast/worker` or speak the protocol of handoff.md.",
    example: "true",
  }),
  log: withDefault(
    logSchema,
    {},
    { is: "Where output goes. A string stands for `to`.", example: '"file:/var/log/web.log"' },
  ),
});

export type ServiceInput = z.output<typeof serviceSchema>;

/** `[defaults]`: nothing in it is required, and what it does not say is not filled in. */
export const defaultsSchema = serviceSchema.partial();
