/** Facts and failures as sentences for people: what happened, where, why. No module but this one words them. */
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import type { ServiceConfig } from "../config/config.js";
import type { FailureView } from "../control/api.js";
import { cutOf, type Drain } from "../lifecycle/drain.js";
import { type End, isWanted } from "../lifecycle/end.js";
import type { Awaited, Failure, ServiceFact } from "../lifecycle/service-state.js";
import type { Clock } from "./clock.js";

/** The steps between fork and exec (docs/protocol.md, `start`); 0 is what the supervisor does before it asks the keeper. */
const STAGES = [
  "prepare",
  "fork",
  "session",
  "cgroup",
  "limits",
  "oom_score",
  "nice",
  "umask",
  "descriptors",
  "environment",
  "working_directory",
  "groups",
  "gid",
  "uid",
  "capabilities",
  "no_new_privs",
  "signals",
  "exec",
  "cpu_affinity",
  "io_priority",
  "scheduling",
] as const;

const PREPARE = 0;

export function stageName(stage: number): string {
  return STAGES[stage] ?? `step ${stage}`;
}

export function signalName(signal: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found?.[0] ?? (signal >= 34 && signal <= 64 ? `SIGRTMIN+${signal - 34}` : `signal ${signal}`);
}

/** The number of a signal by name; undefined if this system has none of that name. */
export function signalNumber(name: string): number | undefined {
  const realtime = /^SIGRTMIN(?:\+(\d+))?$/.exec(name);
  if (realtime) return 34 + Number(realtime[1] ?? 0);
  return (constants.signals as Readonly<Record<string, number>>)[name];
}

/** What execve(2) may answer and the table of libuv does not have. */
const EXEC_ERRNOS: Readonly<Record<number, readonly [string, string]>> = {
  8: ["ENOEXEC", "exec format error, neither a program for this machine nor a script with #! and its interpreter"],
  80: ["ELIBBAD", "its interpreter is damaged"],
};

/** `ENOENT`, and what it means. */
export function errnoWords(errno: number): { readonly name: string; readonly meaning: string } {
  const known = getSystemErrorMap().get(-errno) ?? EXEC_ERRNOS[errno];
  const [name, meaning] = known ?? [`errno ${errno}`, "unknown error"];
  return { name, meaning };
}

/** A program that is not there was told of before; execve(2) says the same of its interpreter. */
function startErrno({ stage, errno }: Extract<End, { kind: "not-started" }>): string {
  const { name, meaning } = errnoWords(errno);
  if (stageName(stage) === "exec" && name === "ENOENT")
    return `it, or the interpreter that it names, is missing (${name})`;
  return `${meaning} (${name})`;
}

export function describeEnd(end: End): string {
  switch (end.kind) {
    case "exited":
      return `exited with code ${end.code}`;
    case "signalled":
      return `was killed by ${signalName(end.signal)}${end.core ? " (core dumped)" : ""}`;
    case "not-started": {
      const failed = `could not be started: step ${stageName(end.stage)} failed`;
      if (end.errno === 0) return failed;
      return `${failed}: ${startErrno(end)}`;
    }
    case "unknown":
      return "is gone, and nobody saw how it ended";
    case "disarmed":
      return "was not needed";
  }
}

function instanceName(service: string, slot: number): string {
  return `${service}/${slot}`;
}

/** `web waits for migrate, which exited with code 3 and has to complete first`. */
export function awaitsSentence(service: string, awaits: readonly Awaited[]): string {
  const words = awaits.map(({ service: other, until, failed, restarting }) => {
    const wanted = restarting === true ? "is being restarted" : WANTED[until];
    if (failed === undefined) return `${other}, which ${wanted}`;
    return `${other}, which ${failedInWords(failed)} and ${wanted}`;
  });
  return `${service} waits for ${words.length === 0 ? "others" : words.join("; ")}`;
}

const WANTED: Readonly<Record<Awaited["until"], string>> = {
  started: "has to be started first",
  ready: "has to be ready first",
  completed: "has to complete first",
  gone: "has to end first, because it conflicts",
};

export function failedInWords(failed: NonNullable<Awaited["failed"]>): string {
  switch (failed) {
    case "blocked":
      return "cannot be started because of a socket";
    case "stopped":
      return "does not run";
    default:
      if (failed.kind === "awaits") return `waits itself for ${failed.service}`;
      return failed.kind === "exited" ? `failed with status ${failed.code}` : describeEnd(failed);
  }
}

/** What kept the supervisor from asking the keeper at all: it says so as the worker's last words. */
function prepareReason(end: End, lines: readonly string[]): string | undefined {
  if (end.kind !== "not-started" || end.stage !== PREPARE) return undefined;
  return lines.at(-1)?.replace(/^holdfast: /, "");
}

/** What the supervisor has seen of it, which stands behind its own last words. */
function remarkOf(lines: readonly string[]): string {
  const remark = /^holdfast: (.*)$/s.exec(lines.at(-1) ?? "")?.[1];
  return remark === undefined ? "" : `: ${remark}`;
}

/** One sentence for a failure; the names of program and folder help where these were the trouble. */
function failureSentence(service: ServiceConfig, failure: Failure): string {
  const { command, workingDirectory: folder } = service;
  const who = `${instanceName(service.name, failure.slot)} (worker ${failure.worker})`;
  if (failure.code === "ready-timeout" && service.type === "task")
    return `${who} did not complete within ready.timeout and was killed`;
  if (failure.code === "ready-timeout")
    return `${who} did not become ready in time and was killed${remarkOf(failure.lines)}`;
  if (failure.code === "run-limit")
    return `${who} had run for as long as run_limit allows and was ended: it ${describeEnd(failure.end)}`;
  if (failure.code === "watchdog")
    return `${who} did not say WATCHDOG=1 in time, or asked for the same treatment, and was ended with SIGABRT: it ${describeEnd(failure.end)}`;
  const { end } = failure;
  if (failure.code === "start-failed" && end.kind !== "not-started")
    return `${who} was ended again because it could not be started${remarkOf(failure.lines)}`;
  const reason = prepareReason(end, failure.lines);
  if (reason !== undefined) return `${who} could not be started: ${reason}`;
  if (end.kind === "not-started" && stageName(end.stage) === "exec") {
    return `${who} could not be started: executing ${command[0]} failed: ${startErrno(end)}`;
  }
  if (end.kind === "not-started" && stageName(end.stage) === "working_directory" && folder !== undefined) {
    const { name, meaning } = errnoWords(end.errno);
    return `${who} could not be started: it cannot enter its working_directory ${folder}: ${meaning} (${name})`;
  }
  // Of a good status alone nobody knows what was wrong.
  if (end.kind === "exited" && end.code === 0) {
    const early = failure.unready === true && service.type !== "task" ? " before it was ready" : "";
    return `${who} ${describeEnd(end)}${early}${remarkOf(failure.lines)}`;
  }
  const limits = Object.entries(service.limits).map(([name, { soft, hard }]) => `${name} = "${soft}:${hard}"`);
  if (end.kind === "not-started" && stageName(end.stage) === "limits" && limits.length > 0)
    return `${who} ${describeEnd(end)}; the limits are ${limits.join(", ")}`;
  return `${who} ${describeEnd(end)}`;
}

function drained(drain: Drain | undefined): string {
  if (drain?.valve === undefined) return "";
  if (drain.valve.kind === "signal") return ` (nothing can keep new connections from it: ${drain.valve.why})`;
  if (drain.seen === 0) return " (nothing was in flight)";
  const closed = drain.closed > 0 ? `, ${drain.closed} were closed between two requests` : "";
  return ` (${Math.max(0, drain.seen - cutOf(drain) - drain.closed)} of ${drain.seen} in flight were finished${closed})`;
}

export function failureView(service: ServiceConfig, failure: Failure, clock: Clock): FailureView {
  const { end } = failure;
  return {
    at: clock.wallAt(failure.at).toISOString(),
    instance: instanceName(service.name, failure.slot),
    worker: failure.worker,
    code: failure.code,
    message: failureSentence(service, failure),
    lastLines: failure.lines,
    ...(end.kind === "not-started" ? { stage: stageName(end.stage) } : {}),
    ...(end.kind === "not-started" && end.errno !== 0 ? { errno: errnoWords(end.errno).name } : {}),
    ...(end.kind === "exited" ? { exitCode: end.code } : {}),
    ...(end.kind === "signalled" ? { signal: signalName(end.signal) } : {}),
  };
}

export function seconds(milliseconds: number): string {
  const rounded = Math.max(0, milliseconds);
  return rounded < 1000 ? `${Math.round(rounded)} ms` : `${(rounded / 1000).toFixed(rounded < 10_000 ? 1 : 0)} s`;
}

/** What an event says, and whether it is bad news. */
export function factSentence(
  service: string,
  fact: ServiceFact,
  more: {
    readonly pid?: number | undefined;
    readonly now: number;
    readonly lines: readonly string[];
    /** With the end that the fact tells of, it has done what it is there for. */
    readonly completes?: boolean;
  },
): { readonly message: string; readonly level: "debug" | "info" | "warn" } {
  const who = "slot" in fact ? instanceName(service, fact.slot) : service;
  const pid = more.pid === undefined ? "" : ` (pid ${more.pid})`;
  switch (fact.type) {
    case "armed":
      return { message: `${service} waits for a connection`, level: "debug" };
    case "worker-started":
      return { message: `${who} started${pid}`, level: "debug" };
    case "worker-ready":
      return { message: `${who} is ready${pid}`, level: "info" };
    case "ready-timeout":
      return { message: `${who}${pid} is not ready in time: SIGKILL`, level: "warn" };
    case "draining":
      return { message: `${who}${pid} gets no new connections from now on`, level: "debug" };
    case "drain-timeout": {
      const count = fact.drain === undefined ? 0 : cutOf(fact.drain);
      const cut = count === 1 ? "1 connection is" : `${count} connections are`;
      return { message: `${who}${pid} did not finish in time: ${cut} cut by its stop signal`, level: "warn" };
    }
    case "reopened":
      return {
        message: `${who}${pid} stays: somebody has connected in the moment it was taken for idle`,
        level: "debug",
      };
    case "stopping":
      return { message: `${who}${pid} is asked to stop${drained(fact.drain)}`, level: "debug" };
    case "leaving":
      return { message: `${who}${pid} says that it stops, unasked`, level: "info" };
    case "watchdog":
      return { message: `${who}${pid} has missed its watchdog, or asked for it: SIGABRT`, level: "warn" };
    case "unhealthy":
      return { message: `${who}${pid} is unhealthy: ${more.lines.at(-1) ?? "it does not answer"}`, level: "warn" };
    case "recovered":
      return { message: `${who}${pid} is healthy again`, level: "info" };
    case "set-aside":
      return { message: `${who}${pid} gets no new connections until it is healthy again`, level: "info" };
    case "not-set-aside":
      return {
        message: `${who}${pid} gets new connections all the same, nothing can keep them from it: ${fact.why}`,
        level: "warn",
      };
    case "kept":
      return { message: `${who}${pid} gets new connections all the same: no other worker serves`, level: "warn" };
    case "run-limit":
      return { message: `${who}${pid} has run for as long as run_limit allows`, level: "info" };
    case "moved":
      return { message: `${who} goes on with the process that it has named as its main one${pid}`, level: "info" };
    case "canary-ready":
      return { message: `${who}${pid} is ready, as a canary`, level: "info" };
    case "stop-timeout":
      return { message: `${who}${pid} ignored the stop signal: SIGKILL`, level: "warn" };
    case "left-behind": {
      const processes = fact.count === 1 ? "1 process" : `${fact.count} processes`;
      return { message: `${who}${pid} has left ${processes} behind, to go on without it`, level: "info" };
    }
    case "worker-ended": {
      const reason = prepareReason(fact.end, more.lines);
      if (reason !== undefined) return { message: `${who} could not be started: ${reason}`, level: "warn" };
      const expected = isWanted(fact.reason) || fact.end.kind === "disarmed";
      const remark = !expected && fact.end.kind === "exited" && fact.end.code === 0 ? remarkOf(more.lines) : "";
      return {
        message: `${who}${pid} ${describeEnd(fact.end)}${expected && fact.end.kind !== "disarmed" ? ", as asked" : ""}${remark}`,
        level: expected ? (fact.end.kind === "disarmed" ? "debug" : "info") : more.completes ? "info" : "warn",
      };
    }
    case "start-delayed": {
      const delay = seconds(fact.until - more.now);
      return fact.why === "start-limit"
        ? { message: `${who} was started too often: the next start is in ${delay} (start limit)`, level: "warn" }
        : { message: `${who} is started again in ${delay}`, level: "info" };
    }
    case "halted":
      return {
        message: `${who} is not started again: it ${describeEnd(fact.end)}, and restart.when says so`,
        level: "info",
      };
    case "rolled-back":
      return { message: `${who}: the new worker failed, the one before goes on`, level: "warn" };
    case "stranded":
      return {
        message: `${who} gets a successor for the connections that an earlier worker has left waiting in lane ${fact.lane}`,
        level: "warn",
      };
    case "restarted": {
      // So it is when an apply takes back what it has not got done, and where only a connection starts a worker.
      const nothing = fact.receipt.started.length === 0 && fact.receipt.retired.length === 0;
      const message = nothing
        ? `${service} goes on as it is: no worker had to be replaced`
        : `${service} was restarted`;
      return { message, level: "info" };
    }
    case "completed":
      return { message: `${who}${pid} has completed`, level: "info" };
    case "awaits": {
      const isBad = fact.on.some(({ failed }) => failed !== undefined);
      return { message: awaitsSentence(service, fact.on), level: isBad ? "warn" : "info" };
    }
    case "released":
      return { message: `${service} waits for no other service any more`, level: "debug" };
    case "stopped":
      return { message: `${service} is stopped`, level: "info" };
  }
}
