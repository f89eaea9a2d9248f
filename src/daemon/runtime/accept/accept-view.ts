import type { AcceptPolicy, ServiceConfig } from "../../config/config.js";
import type { AcceptView, ServicePhase, ServiceView, WorkerView } from "../../control/api.js";
import { type AcceptState, type Connection, isEnding } from "../../lifecycle/accept.js";
import type { Clock } from "../clock.js";
import type { AcceptorRecord } from "../keeper/acceptor-record.js";
import { seconds } from "../words.js";
import { connectionFailure } from "./accept-words.js";

export interface AcceptViewInput {
  readonly config: ServiceConfig;
  readonly policy: AcceptPolicy | undefined;
  readonly state: AcceptState;
  readonly clock: Clock;
  /** undefined: the keeper has told nothing yet. */
  readonly acceptor: AcceptorRecord | undefined;
  readonly socketProblem: string | undefined;
  readonly logDropped: number;
  readonly logBytesDropped: number;
  /** Connections that wait in the kernel's queue; missing: that is not looked at this time. */
  readonly queued?: number;
}

/** A service with a process for each connection as the operator sees it: each connection that is open counts as an instance. */
export function acceptView(input: AcceptViewInput): ServiceView {
  const { config, state, clock } = input;
  const phase = phaseOf(input);
  const next = nextInWords(input, phase);
  const open = [...state.connections.values()];
  const count = open.filter((connection) => !isEnding(state, connection)).length;
  const until = input.acceptor?.phase === "paused" ? input.acceptor.until : 0;
  return {
    name: config.name,
    phase,
    desired: state.desired,
    start: config.start,
    type: "daemon",
    sockets: config.sockets,
    instances: count,
    ready: count,
    restarts: 0,
    workers: open.map((connection) => workerView(input, connection)),
    readiness: "a process for each connection",
    accepts: acceptsView(input, open.length),
    logDropped: input.logDropped,
    logBytesDropped: input.logBytesDropped,
    ...(next === undefined ? {} : { next }),
    ...(until === 0 ? {} : { nextStartAt: clock.wallAt(until).toISOString() }),
    ...(state.lastFailure === undefined ? {} : { lastFailure: connectionFailure(config, state.lastFailure, clock) }),
  };
}

function acceptsView({ acceptor, policy, queued }: AcceptViewInput, open: number): AcceptView {
  return {
    open,
    most: policy?.most ?? 0,
    atLimit: policy?.atLimit ?? "queue",
    phase: acceptor?.phase ?? "accepting",
    accepted: acceptor?.accepted ?? 0,
    refused: acceptor?.refused ?? 0,
    refusedPerSource: acceptor?.refusedPerSource ?? 0,
    vanished: acceptor?.vanished ?? 0,
    ...(queued === undefined ? {} : { queued }),
  };
}

function workerView({ config, state, clock }: AcceptViewInput, connection: Connection): WorkerView {
  const { number, pid, peer, startedAt } = connection;
  return {
    instance: `${config.name}/${number}`,
    id: number,
    pid,
    phase: isEnding(state, connection) ? (state.ending?.phase ?? "ready") : "ready",
    role: isEnding(state, connection) ? "retiring" : "current",
    startedAt: clock.wallAt(startedAt).toISOString(),
    ...(config.runLimitMs === undefined || isEnding(state, connection)
      ? {}
      : { runsUntil: clock.wallAt(startedAt + config.runLimitMs).toISOString() }),
    peer,
  };
}

function phaseOf({ state, acceptor }: AcceptViewInput): ServicePhase {
  const { desired, connections, armed, blocked, problem } = state;
  if (desired === "stopped") return connections.size > 0 || armed === "disarming" ? "stopping" : "stopped";
  if (blocked) return "blocked";
  if (problem !== undefined) return "failed";
  if (acceptor?.phase === "paused" || acceptor?.phase === "short") return "limited";
  return connections.size > 0 ? "ready" : "waiting";
}

function nextInWords(
  { state, acceptor, clock, socketProblem }: AcceptViewInput,
  phase: ServicePhase,
): string | undefined {
  const left = (until: number | undefined): string => seconds((until ?? 0) - clock.monotonic());
  switch (phase) {
    case "waiting":
      return "the next connection starts a process";
    case "ready":
      return acceptor?.phase === "full" ? "as many as may be are open: the next one waits until one ends" : undefined;
    case "limited":
      return acceptor?.phase === "paused"
        ? `trigger_limit: connections wait for ${left(acceptor.until)}`
        : "the system is short of descriptors or memory: connections wait";
    case "blocked":
      return `${socketProblem ?? "a socket is not bound"}; it goes on by itself once that is over`;
    case "failed":
      return `${state.problem?.message}; it is tried again`;
    case "stopping":
      if (state.ending?.phase === "draining")
        return `connections may end by themselves for ${left(state.ending.deadline)}`;
      return state.ending?.phase === "stopping"
        ? `SIGKILL to what is left in ${left(state.ending.deadline)}`
        : undefined;
    default:
      return undefined;
  }
}
