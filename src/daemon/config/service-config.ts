import { resolve } from "node:path";
import { besideCommand } from "./beside-command.js";
import { commandLine } from "./command-line.js";
import type { DrainPolicy, LogConfig, ReadyPolicy, ReloadPolicy, RestartPolicy, ServiceConfig } from "./config.js";
import { checkPolicy, hooksPolicy } from "./hooks-config.js";
import { privilegesConfig } from "./privileges-config.js";
import { healthPolicy, probePolicy } from "./probe-config.js";
import { wrong } from "./problem.js";
import type { ServiceInput } from "./schema-service.js";
import type { Site } from "./site.js";
import { taskKeys, taskReady, taskRestart } from "./task-config.js";

/** Where nothing shows whether a worker serves (no socket, or not permitted to look), living for this long stands for it. */
const SETTLE_MS = 1000;

export interface ServicePlace {
  readonly site: Site;
  /** Where relative paths start. */
  readonly base: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of the supervisor. */
  readonly uid: number;
}

/** `[service.NAME]` with its defaults, after the schema -> the configuration of the service; relative paths start at `base`. */
export function serviceConfig(name: string, input: ServiceInput, o: ServicePlace): ServiceConfig {
  const line = commandLine(input.command, input.shell);
  if (!line.ok) o.site.refuse(["command"], line);
  else if (line.value.doubt !== undefined) {
    o.site.warn(["command"], wrong(line.value.doubt.message, { code: "no-shell", hint: line.value.doubt.hint }));
  }
  return {
    name,
    command: line.ok ? line.value.argv : [],
    sockets: input.sockets,
    workers: input.workers,
    start: input.start,
    ...(input.type === "task" ? taskKeys(input) : {}),
    ...present({ user: input.user, group: input.group, groups: input.groups }),
    ...(input.working_directory === undefined ? {} : { workingDirectory: resolve(o.base, input.working_directory) }),
    umask: input.umask,
    ...present({ nice: input.nice, oomScoreAdjust: input.oom_score_adjust }),
    env: { ...input.env },
    envFiles: input.env_files.map((file) => ({ path: resolve(o.base, file.path), optional: file.optional })),
    inheritEnv: input.inherit_env,
    limits: { ...input.limits },
    noNewPrivileges: input.no_new_privileges,
    ...privilegesConfig(input, o),
    ...(input.pid_file === undefined ? {} : { pidFile: resolve(o.base, input.pid_file) }),
    ready: input.type === "task" ? taskReady(input, o.site) : readyPolicy(input, o),
    ...present({ health: input.type === "task" ? undefined : healthPolicy(input.health, o) }),
    restart: input.type === "task" ? taskRestart(restartPolicy(input), o.site) : restartPolicy(input),
    rollout: { surge: input.rollout.surge, unavailable: input.rollout.unavailable, pauseMs: input.rollout.pause },
    ...(input.idle_stop === undefined || input.type === "task" ? {} : { idleStopMs: input.idle_stop }),
    drain: drainPolicy(input),
    stop: {
      signal: input.stop.signal,
      timeoutMs: input.stop.timeout,
      ...(input.stop.kill === "tree" ? {} : { kill: input.stop.kill }),
    },
    ...present({ reload: reloadPolicy(input, o.site) }),
    ...present({
      hooks: hooksPolicy(input.hooks, { site: o.site, isTask: input.type === "task" }),
      check: checkPolicy(input.check, o.site),
    }),
    ...present({ watchdogMs: input.watchdog, runLimitMs: input.run_limit, fdStore: input.fd_store }),
    ...(input.pretend_booted ? { pretendBooted: true as const } : {}),
    ...(input.notify_access === "all" ? {} : { notifyAccess: input.notify_access }),
    ignoreSigpipe: input.ignore_sigpipe,
    handoff: input.handoff,
    log: logConfig(input, o.base),
    ...(input.stdio === "socket" ? { stdio: "socket" as const } : {}),
  };
}

/** Without the keys whose value is undefined, so that the configuration equals itself after JSON. */
function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function readyPolicy(
  { ready, sockets, pid_file: pidFile }: ServiceInput,
  o: { site: Site; base: string },
): ReadyPolicy {
  if (ready.probe !== undefined && (ready.when === "probe" || ready.when === "auto")) {
    const probe = probePolicy(ready.probe, o);
    return { when: "probe", timeoutMs: ready.timeout, settleMs: 0, ...(probe === undefined ? {} : { probe }) };
  }
  if (ready.when === "probe") {
    o.site.refuse(
      ["ready", "when"],
      wrong('when = "probe" does not say what is asked', { code: "missing", hint: 'add probe = { http = "/health" }' }),
    );
  } else if (ready.probe !== undefined && !o.site.inherits("ready", "probe")) {
    o.site.refuse(
      ["ready", "probe"],
      wrong(`a probe has no effect with when = "${ready.when}"`, { code: "conflict", hint: 'write when = "probe"' }),
    );
  }
  if (pidFile !== undefined && ready.when === "auto")
    return { when: "pid-file", timeoutMs: ready.timeout, settleMs: 0 };
  const when = ready.when === "auto" && sockets.length === 0 ? "spawned" : ready.when;
  // By the word that was written: `spawned` asks for no more than a start; with `auto` a new version that ends at once must not replace a good one.
  const settleMs = ready.settle ?? (ready.when === "auto" || ready.when === "listening" ? SETTLE_MS : 0);
  return { when, timeoutMs: ready.timeout, settleMs };
}

function reloadPolicy({ reload }: ServiceInput, site: Site): ReloadPolicy | undefined {
  if (reload === undefined) return undefined;
  const { signal, command, timeout, wait } = reload;
  if ((signal === undefined) === (command === undefined)) {
    const message =
      signal === undefined ? "how shall it be told?" : "a reload is a signal or a command, and both are there";
    const hint = 'write signal = "SIGHUP" or command = ["bin/reload"]';
    site.refuse(["reload"], wrong(message, { code: signal === undefined ? "missing" : "conflict", hint }));
  }
  const argv = command && besideCommand(command, { site, place: ["reload", "command"] });
  return { ...present({ signal, command: argv }), timeoutMs: timeout, wait };
}

function drainPolicy({ drain }: ServiceInput): DrainPolicy {
  return { when: drain.when, timeoutMs: drain.timeout, idleMs: drain.idle, waitFor: drain.wait_for };
}

function restartPolicy({ restart }: ServiceInput): RestartPolicy {
  const { backoff, limit } = restart;
  return {
    when: restart.when,
    backoff: {
      initialMs: backoff.initial,
      factor: backoff.factor,
      maxMs: backoff.max,
      jitter: backoff.jitter,
      resetAfterMs: backoff.reset_after,
    },
    limit: { starts: limit.starts, intervalMs: limit.interval },
    prevent: restart.prevent,
    ...(restart.force.length === 0 ? {} : { force: restart.force }),
    ...(restart.success.length === 0 ? {} : { success: restart.success }),
  };
}

function logConfig({ log }: ServiceInput, base: string): LogConfig {
  if (log.to.to !== "file") return { to: log.to.to };
  const path = resolve(base, log.to.path);
  if (log.rotate === undefined) return { to: "file", path };
  return { to: "file", path, rotate: { sizeBytes: log.rotate.size, keep: log.rotate.keep } };
}
