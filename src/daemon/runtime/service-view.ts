import type { ServiceConfig } from "../config/config.js";
import type { AwaitedView, ServicePhase, ServiceView, WorkerView } from "../control/api.js";
import type { Aside } from "../lifecycle/aside.js";
import { awaitedHook } from "../lifecycle/hooks.js";
import { runLimitDue } from "../lifecycle/run-limit.js";
import { type Awaited, nextDeadline, type ServiceState, triggersFree, workersOf } from "../lifecycle/service-state.js";
import type { Worker } from "../lifecycle/worker.js";
import type { Clock } from "./clock.js";
import { wordsOf } from "./drain/valve-finder.js";
import { errnoInWords, type Said } from "./notify/said.js";
import { awaitsSentence, failedInWords, failureView, seconds } from "./words.js";

export interface ViewInput {
  readonly config: ServiceConfig;
  readonly state: ServiceState;
  readonly clock: Clock;
  readonly saidBy: (worker: number) => Said;
  /** How many descriptors an instance has stored. */
  readonly storedBy: (slot: number) => number;
  /** Why its sockets cannot be used. */
  readonly socketProblem: string | undefined;
  readonly logDropped: number;
  readonly logBytesDropped: number;
  /** The pid that a worker was started with, if its main process is another one by now. */
  readonly startedAs: (worker: number) => number | undefined;
  /** Why a worker counts as unhealthy. */
  readonly unhealthy: (worker: number) => string | undefined;
  /** What could keep new connections from a ready worker, in words; missing: that is not looked at this time. */
  readonly valveOf?: (worker: number) => string;
  /** Processes that earlier workers have left behind; missing: not looked at either. */
  readonly leftBehind?: number;
}

/** The state of a service as the operator sees it. */
export function serviceView(input: ViewInput): ServiceView {
  const { config, state, clock } = input;
  const plain = servicePhase(state);
  // A task is never anything more than on its way.
  const phase = config.type === "task" && (plain === "starting" || plain === "restarting") ? "running" : plain;
  const next = nextInWords(input, phase);
  const waitsUntil = state.instances.map(({ wait }) => wait?.until).filter((until) => until !== undefined);
  if (triggersPause(state)) waitsUntil.push(triggersFree(state.triggers));
  const status = state.instances.map(({ current }) => current && input.saidBy(current.id).status).find(Boolean);
  return {
    name: config.name,
    phase,
    desired: state.desired,
    start: config.start,
    type: config.type ?? "daemon",
    ...(state.completed === undefined ? {} : { completedAt: clock.wallAt(state.completed.at).toISOString() }),
    ...(state.awaits === undefined ? {} : { awaits: state.awaits.map(awaitedView) }),
    sockets: config.sockets,
    instances: state.size,
    ready: isActive(config, state)
      ? 1
      : state.instances.filter(({ current }) => current?.state.phase === "ready").length,
    restarts: state.instances.reduce((sum, { restarts }) => sum + restarts, 0),
    workers: workersOf(state)
      .filter(({ worker }) => worker.state.phase !== "armed" && worker.state.phase !== "disarming")
      .map(({ worker, role }) => workerView(input, worker, role)),
    readiness: readiness(config, state),
    logDropped: input.logDropped,
    logBytesDropped: input.logBytesDropped,
    ...(input.leftBehind === undefined || input.leftBehind === 0 ? {} : { leftBehind: input.leftBehind }),
    ...(next === undefined ? {} : { next }),
    ...(waitsUntil.length === 0 ? {} : { nextStartAt: clock.wallAt(Math.min(...waitsUntil)).toISOString() }),
    ...(state.lastFailure === undefined ? {} : { lastFailure: failureView(config, state.lastFailure, clock) }),
    ...(status === undefined ? {} : { statusText: status }),
  };
}

/** A task that counts as active since it has completed. */
function isActive({ remainAfterExit }: ServiceConfig, { completed }: ServiceState): boolean {
  return completed !== undefined && remainAfterExit === true;
}

function awaitedView({ service, until, failed }: Awaited): AwaitedView {
  return { service, until, ...(failed === undefined ? {} : { failed: failedInWords(failed) }) };
}

/** The rule, and what takes its place where it cannot be seen. */
function readiness({ ready }: ServiceConfig, state: ServiceState): string {
  const unobserved = workersOf(state).some(({ worker }) => worker.unobserved === true);
  if (!unobserved) return ready.when;
  return `${ready.when}: not permitted to see whether it listens, so it settles for ${seconds(ready.settleMs)}`;
}

function workerView(input: ViewInput, worker: Worker, role: WorkerView["role"]): WorkerView {
  const { config, clock, saidBy, storedBy } = input;
  const { status, errno, exitStatus, reloading } = saidBy(worker.id);
  const hook = awaitedHook(worker.state);
  const stored = storedBy(worker.slot);
  const startedAs = input.startedAs(worker.id);
  const runsUntil = runLimitDue(worker);
  const valve = valveInWords(input, worker);
  return {
    instance: `${config.name}/${worker.slot}`,
    id: worker.id,
    phase: workerPhase(worker, config),
    role,
    ...(worker.pid === undefined ? {} : { pid: worker.pid }),
    ...(startedAs === undefined ? {} : { startedAs }),
    ...(worker.startedAt === undefined ? {} : { startedAt: clock.wallAt(worker.startedAt).toISOString() }),
    ...(worker.readyAt === undefined ? {} : { readyAt: clock.wallAt(worker.readyAt).toISOString() }),
    ...(runsUntil === undefined ? {} : { runsUntil: clock.wallAt(runsUntil).toISOString() }),
    ...(status === undefined ? {} : { statusText: status }),
    ...(errno === undefined || errno === 0 ? {} : { errno: errnoInWords(errno) }),
    ...(exitStatus === undefined ? {} : { exitStatus }),
    ...(hook === undefined ? {} : { hook }),
    ...(reloading === true ? { reloading } : {}),
    ...(worker.unhealthy === true ? { unhealthy: input.unhealthy(worker.id) ?? "not asked again yet" } : {}),
    ...(worker.aside === undefined ? {} : { aside: asideInWords(worker.aside) }),
    ...(stored === 0 ? {} : { stored }),
    ...(valve === undefined ? {} : { valve }),
    ...(worker.state.phase === "draining" && worker.drain !== undefined ? { inFlight: worker.drain.inFlight } : {}),
  };
}

function asideInWords(aside: Aside): string {
  switch (aside.how) {
    case "asked":
    case "out":
      return "no new connections until it is healthy again";
    case "cannot":
      return `new connections all the same, nothing can keep them from it: ${aside.why}`;
    case "last":
      return "new connections all the same: no other worker serves";
  }
}

/** Of one that retires: what it has; of one that is ready: what it would have. */
function valveInWords({ config, valveOf }: ViewInput, { id, state, drain }: Worker): string | undefined {
  if (drain?.valve !== undefined) return wordsOf(drain.valve);
  if (state.phase !== "ready" || config.sockets.length === 0) return undefined;
  return config.drain.when === "signal" ? 'signal (drain.when = "signal")' : valveOf?.(id);
}

function workerPhase({ state }: Worker, { type }: ServiceConfig): WorkerView["phase"] {
  if (type === "task" && state.phase === "warming") return "running";
  switch (state.phase) {
    case "armed":
    case "disarming":
    case "preparing":
    case "starting":
    case "warming":
    case "confirming":
      return "starting";
    case "ready":
    case "draining":
    case "stopping":
    case "killing":
      return state.phase;
    case "parting":
      return "stopping";
    case "sweeping":
    case "clearing":
    case "gone":
      return "exited";
  }
}

export function servicePhase(state: ServiceState): ServicePhase {
  const { instances, desired, canary } = state;
  if (desired === "stopped") return workersOf(state).length > 0 ? "stopping" : "stopped";
  if (state.awaits !== undefined) return workersOf(state).length > 0 ? "stopping" : "pending";
  if (state.completed !== undefined) return "completed";
  if (state.job?.kind === "restart" || state.job?.kind === "restart-hard") return "restarting";
  const ready = instances.filter(({ current }) => current?.state.phase === "ready").length;
  if (ready === instances.length) return canary === undefined ? "ready" : "canary";
  if (ready > 0) return "degraded";
  if (state.blocked) return "blocked";
  const running = instances.flatMap(({ current }) =>
    current === undefined || current.state.phase === "armed" ? [] : [current],
  );
  if (running.length > 0) return running.every(({ reason }) => reason === "idle") ? "waiting" : "starting";
  if (instances.some(({ wait }) => wait?.why === "start-limit")) return "limited";
  if (instances.some(({ wait }) => wait !== undefined)) return "backoff";
  if (instances.some(({ halted }) => halted)) return state.lastFailure === undefined ? "stopped" : "failed";
  return triggersPause(state) ? "limited" : "waiting";
}

/** Its workers ended so often without having taken the connection that started them that no connection starts one for a moment. */
function triggersPause({ instances, triggers }: ServiceState): boolean {
  return triggersFree(triggers) > 0 && instances.every(({ current }) => current === undefined);
}

function nextInWords(input: ViewInput, phase: ServicePhase): string | undefined {
  const { state, clock, socketProblem } = input;
  const deadline = nextDeadline(state);
  const left = deadline === undefined ? "" : seconds(deadline - clock.monotonic());
  switch (phase) {
    case "waiting":
      return "the next connection starts a worker";
    case "backoff":
      return `the next start is in ${left}`;
    case "limited":
      return `it was started too often; the next start is in ${left}; \`holdfast start\` or \`reset\` does not wait`;
    case "blocked":
      return `${socketProblem ?? "a socket is not bound"}; it goes on by itself once that is over`;
    case "failed":
      return "restart.when says that it is not started again; `holdfast start` does";
    case "pending":
      return awaitsSentence(input.config.name, state.awaits ?? []);
    case "stopping":
      if (state.lingers !== undefined) return "its workers end once those of the services after it have";
      if (state.retiring.some((worker) => worker.state.phase === "draining")) {
        const count = state.retiring.reduce((sum, { drain }) => sum + (drain?.inFlight ?? 0), 0);
        return `it finishes what is in flight (${count} ${count === 1 ? "connection" : "connections"}), for ${left} at most`;
      }
      return `SIGKILL to what is left in ${left}`;
    case "canary":
      return `one worker of the new version gets ${state.canary?.percent} % of the new connections; \`holdfast rollout ${input.config.name} --promote\` goes on with it, \`--abort\` sends it away`;
    case "running":
    case "completed":
    case "stopped":
    case "starting":
    case "ready":
    case "degraded":
    case "restarting":
      return undefined;
  }
}
