import { getSystemErrorMap } from "node:util";
import type { FailureView, ServicePhase, ServiceView } from "../daemon/control/api.js";
import { counted, printable } from "./render/text.js";
import { relativeTime } from "./render/uptime.js";

const phases: Readonly<Record<ServicePhase, string>> = {
  stopped: "is stopped",
  waiting: "waits for work; a worker starts when there is some",
  starting: "is starting",
  ready: "is ready",
  canary: "is ready, and one worker of the new version is tried beside the others",
  degraded: "is degraded: fewer workers are ready than are wanted",
  restarting: "is being restarted",
  backoff: "failed and waits before it is started again",
  limited: "was started too often and waits until its start limit allows another start",
  stopping: "is stopping",
  blocked: "cannot be started: a socket of it is not bound",
  pending: "waits for other services",
  running: "is running",
  completed: "has completed",
  failed: "has failed and is not started again by itself",
};

/** Of a service with a process for each connection. */
const phasesOfAccept: Partial<typeof phases> = {
  waiting: "waits for connections; each starts a process",
  ready: "serves connections; each has a process",
  limited: "lets connections wait",
  failed: "cannot start processes for connections, which wait",
};

/** The state of a service and its last failure as sentences, one a line: what it is, what failed, what comes next. */
export function explain(service: ServiceView, now: number): readonly string[] {
  const { name, phase, ready, instances, lastFailure, statusText } = service;
  const endedWell = lastFailure === undefined && (phase === "backoff" || phase === "limited");
  const nothing = endedWell
    ? ["Its last worker ended without a failure, and restart.when says that it is started again."]
    : phase === "blocked" || (phase === "failed" && service.accepts !== undefined)
      ? []
      : ["Nothing has failed that the supervisor remembers."];
  const { accepts } = service;
  if (accepts !== undefined) {
    return [
      `${name} ${{ ...phases, ...phasesOfAccept }[phase]} (${accepts.open} of ${counted(accepts.most, "connection")} open).`,
      ...(lastFailure === undefined ? nothing : explainFailure(lastFailure, now, true)),
      ...explainNext(service, now),
    ];
  }
  return [
    `${name} ${endedWell && phase === "backoff" ? "ended and waits before it is started again" : phases[phase]} (${ready} of ${counted(instances, "worker")} ready${service.restarts > 0 ? `, ${counted(service.restarts, "restart")} so far` : ""}).`,
    ...(statusText === undefined ? [] : [`It says of itself: ${printable(statusText)}`]),
    ...(lastFailure === undefined ? nothing : explainFailure(lastFailure, now, false)),
    ...explainNext(service, now),
  ];
}

/** @param shared many write to the log at the same time, and no line says which */
function explainFailure(failure: FailureView, now: number, shared: boolean): string[] {
  const { at, instance, worker, lastLines } = failure;
  const details = [
    failure.stage === undefined ? undefined : `step ${failure.stage}`,
    failure.errno === undefined ? undefined : `${failure.errno}${errnoWords(failure.errno)}`,
    failure.exitCode === undefined ? undefined : `exit code ${failure.exitCode}`,
    failure.signal === undefined ? undefined : `ended by ${failure.signal}`,
  ].filter((detail) => detail !== undefined);
  return [
    `Last failure, ${relativeTime(at, now)} (${at}), ${shared ? `connection ${worker}` : `worker ${worker} in ${instance}`}:`,
    `  ${printable(failure.message)}`,
    `  ${[failure.code, ...details].join(", ")}`,
    ...(lastLines.length === 0
      ? ["It wrote nothing."]
      : [shared ? "The last lines of all its connections:" : "Its last lines:"]),
    ...lastLines.map((line) => `  | ${printable(line)}`),
  ];
}

/** What a worker has to do to be ready, by the rule of its service. */
const rules: Readonly<Record<string, string>> = {
  auto: "send READY=1 to NOTIFY_SOCKET, or wait for a connection on a socket that it was given",
  notify: "send READY=1 to NOTIFY_SOCKET",
  listening: "wait for a connection on a socket that it was given",
  newline: "write a line to the descriptor that READY_FD names",
  spawned: "live for ready.settle",
  probe: "answer ready.probe",
  "pid-file": "end its first process, with a pid_file that names another one,",
};

/** Whom a start or a restart waits for: without this an unready successor looks as if nothing happened. */
function explainAwaited({ workers, readiness }: ServiceView, now: number): string[] {
  const rule = rules[readiness.split(":")[0] ?? ""];
  const awaited = workers.find(({ phase }) => phase === "starting");
  if (awaited?.hook !== undefined) return [`Next: the ${awaited.hook} of ${awaited.instance} has to be done.`];
  if (awaited === undefined || rule === undefined) return [];
  const since = awaited.startedAt === undefined ? "" : `, started ${relativeTime(awaited.startedAt, now)}`;
  const pid = awaited.pid === undefined ? "" : ` (pid ${awaited.pid}${since})`;
  return [`Next: ${awaited.instance}${pid} has to ${rule} within ready.timeout.`];
}

function explainNext(service: ServiceView, now: number): string[] {
  const { name, phase, desired, next, nextStartAt, ready } = service;
  if (next !== undefined || nextStartAt !== undefined) {
    // `next` says when in words already; the point in time is for those who compare it with a log.
    const when = nextStartAt === undefined ? "" : ` (${nextStartAt})`;
    const words = next ?? `another start ${relativeTime(nextStartAt!, now)}`;
    return [`Next: ${printable(words)}${when}.`];
  }
  if (phase === "failed") return [`Next: nothing by itself; "holdfast start ${name}" tries again.`];
  if (phase === "completed") {
    const again = ready > 0 ? "restart" : "start";
    return [`Next: nothing by itself; "holdfast ${again} ${name}" runs it again.`];
  }
  if (phase === "stopped") {
    return [
      desired === "stopped" ? `Next: nothing until "holdfast start ${name}".` : "Next: nothing; its work is done.",
    ];
  }
  return explainAwaited(service, now);
}

function errnoWords(name: string): string {
  for (const [known, words] of getSystemErrorMap().values()) if (known === name) return ` (${words})`;
  return "";
}
