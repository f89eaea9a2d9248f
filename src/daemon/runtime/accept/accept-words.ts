/** What a service with a process for each connection has to say, as sentences. */
import type { ServiceConfig } from "../../config/config.js";
import type { FailureView } from "../../control/api.js";
import type { AcceptFact, AcceptFailure } from "../../lifecycle/accept.js";
import type { Clock } from "../clock.js";
import type { AcceptorPhase, AcceptorRecord } from "../keeper/acceptor-record.js";
import { describeEnd, errnoWords, seconds, signalName, stageName } from "../words.js";

interface Said {
  readonly message: string;
  readonly level: "debug" | "info" | "warn";
  readonly instance?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export function factSentence(service: ServiceConfig, fact: AcceptFact): Said {
  const { name } = service;
  switch (fact.type) {
    case "accepting":
      return { message: `${name} starts a process for each connection`, level: "debug" };
    case "not-armed":
      return { message: `${name} cannot start processes for connections: ${fact.message}`, level: "warn" };
    case "drain-timeout":
      return {
        message: `${counted(fact.count)} of ${name} did not end in time: ${service.stop.signal}`,
        level: "warn",
      };
    case "stop-timeout":
      return { message: `${counted(fact.count)} of ${name} ignored the stop signal: SIGKILL`, level: "warn" };
    case "run-limit": {
      const { number, peer } = fact;
      const message = `${name}/${number} (${peer}) has run for as long as run_limit allows: ${service.stop.signal}`;
      return { message, level: "info", instance: `${name}/${number}`, data: { number, peer } };
    }
    case "stopped":
      return { message: `${name} is stopped`, level: "info" };
    case "connection-failed": {
      const { number, peer, end } = fact.failure;
      const message = failureSentence(service, fact.failure);
      return { message, level: "warn", instance: `${name}/${number}`, data: { number, peer, end } };
    }
  }
}

/** undefined: nothing that somebody has to know. That it is full is seen in its status. */
export function acceptorSentence(
  service: string,
  record: AcceptorRecord,
  before: AcceptorPhase,
  clock: Clock,
): (Said & { readonly type: string }) | undefined {
  const { phase, until } = record;
  if (phase === before) return undefined;
  if (phase === "paused") {
    const left = seconds(until - clock.monotonic());
    const message = `${service} has started as many processes as its trigger_limit allows: connections wait for ${left}`;
    return { type: "accept-paused", message, level: "warn" };
  }
  if (phase === "short") {
    const message = `${service} can accept no connection: the system is short of descriptors or memory; it is tried again`;
    return { type: "accept-short", message, level: "warn" };
  }
  if (before !== "paused" && before !== "short") return undefined;
  return { type: "accept-resumed", message: `${service} accepts connections again`, level: "info" };
}

export function failureSentence({ name, command }: ServiceConfig, { number, peer, end }: AcceptFailure): string {
  const who = `${name}/${number} (${peer})`;
  if (end.kind !== "not-started" || stageName(end.stage) !== "exec") return `${who} ${describeEnd(end)}`;
  const { name: errno, meaning } = errnoWords(end.errno);
  return `${who} could not be started: executing ${command[0]} failed: ${meaning} (${errno})`;
}

export function connectionFailure(service: ServiceConfig, failure: AcceptFailure, clock: Clock): FailureView {
  const { number, end, lines, at } = failure;
  return {
    at: clock.wallAt(at).toISOString(),
    instance: `${service.name}/${number}`,
    worker: number,
    code: end.kind === "not-started" ? "start-failed" : "exited",
    message: failureSentence(service, failure),
    lastLines: lines,
    ...(end.kind === "not-started" ? { stage: stageName(end.stage) } : {}),
    ...(end.kind === "not-started" && end.errno !== 0 ? { errno: errnoWords(end.errno).name } : {}),
    ...(end.kind === "exited" ? { exitCode: end.code } : {}),
    ...(end.kind === "signalled" ? { signal: signalName(end.signal) } : {}),
  };
}

/** Nothing could be started at all. */
export function failureOf({ name }: ServiceConfig, message: string, clock: Clock): FailureView {
  const sentence = `${name} cannot start processes for connections: ${message}`;
  return {
    at: clock.wall().toISOString(),
    instance: name,
    worker: 0,
    code: "start-failed",
    message: sentence,
    lastLines: [],
  };
}

export function notForConnections({ name }: ServiceConfig, clock: Clock): FailureView {
  const message = `${name} has a process for each connection: there are no workers to scale or to roll out; max_connections of its socket bounds them`;
  return { at: clock.wall().toISOString(), instance: name, worker: 0, code: "start-failed", message, lastLines: [] };
}

function counted(count: number): string {
  return `${count} ${count === 1 ? "connection" : "connections"}`;
}
