import { constants } from "node:os";
import * as z from "zod";
import type {
  AcceptView,
  Action,
  AlsoView,
  ApplyView,
  AwaitedView,
  EventView,
  FailureView,
  KeeperView,
  LogLine,
  Outcome,
  PlannedChange,
  PlanView,
  ReceiptView,
  ReExecView,
  RetiredView,
  ServiceView,
  SocketAction,
  SocketOutcome,
  SocketReceiptView,
  SocketView,
  StartedView,
  SupervisorView,
  UpgradeDoneView,
  UpgradeView,
  WaitFor,
  WorkerView,
} from "./api.js";

/** The schemas that the OpenAPI document names. */
export const components = z.registry<{ readonly id: string }>();

/** An object schema that has every field of a view, no other, with the view's types. */
function view<View>(id: string) {
  return <Shape extends { readonly [K in keyof Required<View>]: z.ZodType<View[K]> }>(shape: Shape) =>
    z.object(shape).register(components, { id });
}

const at = z.iso.datetime();
const count = z.int().nonnegative();

export const keeperView = view<KeeperView>("Keeper")({
  startedAt: at,
  reExecs: count,
  reExecutedAt: at.exactOptional(),
});

export const reExecView = view<ReExecView>("ReExec")({
  result: z.enum(["done", "failed"]),
  message: z.string(),
  reExecs: count,
  durationMs: z.number().nonnegative(),
});

export const upgradeView = view<UpgradeView>("Upgrade")({
  result: z.enum(["failed", "willing"]),
  message: z.string(),
  id: z.string().exactOptional(),
});

export const upgradeDoneView = view<UpgradeDoneView>("UpgradeDone")({
  id: z.string(),
  result: z.enum(["done", "failed"]),
  message: z.string(),
  pauseMs: z.number().nonnegative(),
});

export const supervisorView = view<SupervisorView>("Supervisor")({
  version: z.string(),
  pid: z.int().positive(),
  keeperPid: z.int().positive(),
  keeper: keeperView,
  startedAt: at,
  starts: count,
  previousEnd: z.string().exactOptional(),
  keeperDeaths: count.exactOptional(),
  keeperDeath: z.string().exactOptional(),
  upgrade: upgradeDoneView.exactOptional(),
  adoptedInMs: z.number().nonnegative().exactOptional(),
  configFiles: z.array(z.string()),
  control: z.string(),
  counters: z.record(z.string(), z.number()),
});

export const failureView = view<FailureView>("Failure")({
  at,
  instance: z.string(),
  worker: count,
  code: z.string(),
  message: z.string(),
  stage: z.string().exactOptional(),
  errno: z.string().exactOptional(),
  exitCode: z.int().exactOptional(),
  signal: z.string().exactOptional(),
  lastLines: z.array(z.string()),
});

export const workerView = view<WorkerView>("Worker")({
  instance: z.string(),
  id: count,
  pid: z.int().positive().exactOptional(),
  startedAs: z.int().positive().exactOptional(),
  phase: z.enum(["starting", "running", "ready", "draining", "stopping", "killing", "exited"]),
  role: z.enum(["current", "successor", "retiring"]),
  startedAt: at.exactOptional(),
  readyAt: at.exactOptional(),
  runsUntil: at.exactOptional(),
  statusText: z.string().exactOptional(),
  errno: z.string().exactOptional(),
  exitStatus: count.exactOptional(),
  hook: z.enum(["before_start", "after_start", "before_stop", "after_stop"]).exactOptional(),
  reloading: z.literal(true).exactOptional(),
  unhealthy: z.string().exactOptional(),
  aside: z.string().exactOptional(),
  stored: count.exactOptional(),
  valve: z.string().exactOptional(),
  inFlight: count.exactOptional(),
  peer: z.string().exactOptional(),
});

export const acceptView = view<AcceptView>("Accepts")({
  open: count,
  most: count,
  atLimit: z.enum(["queue", "refuse"]),
  phase: z.enum(["accepting", "full", "paused", "short"]),
  accepted: count,
  refused: count,
  refusedPerSource: count,
  vanished: count,
  queued: count.exactOptional(),
});

const awaitedView = view<AwaitedView>("Awaited")({
  service: z.string(),
  until: z.enum(["started", "ready", "completed", "gone"]),
  failed: z.string().exactOptional(),
});

export const serviceView = view<ServiceView>("Service")({
  name: z.string(),
  phase: z.enum([
    "stopped",
    "waiting",
    "starting",
    "ready",
    "degraded",
    "canary",
    "restarting",
    "backoff",
    "limited",
    "stopping",
    "blocked",
    "pending",
    "running",
    "completed",
    "failed",
  ]),
  desired: z.enum(["started", "stopped"]),
  start: z.enum(["boot", "connection", "manual"]),
  type: z.enum(["daemon", "task"]),
  completedAt: at.exactOptional(),
  awaits: z.array(awaitedView).exactOptional(),
  sockets: z.array(z.string()),
  instances: count,
  ready: count,
  restarts: count,
  workers: z.array(workerView),
  next: z.string().exactOptional(),
  nextStartAt: at.exactOptional(),
  lastFailure: failureView.exactOptional(),
  statusText: z.string().exactOptional(),
  readiness: z.string(),
  logDropped: count,
  logBytesDropped: count,
  leftBehind: count.exactOptional(),
  accepts: acceptView.exactOptional(),
});

export const socketView = view<SocketView>("Socket")({
  name: z.string(),
  address: z.string(),
  kind: z.string(),
  bound: z.boolean(),
  error: z.string().exactOptional(),
  services: z.array(z.string()),
  queued: count.exactOptional(),
  backlog: count.exactOptional(),
  pausedUntil: at.exactOptional(),
  lanes: count.exactOptional(),
});

export const logLine = view<LogLine>("LogLine")({
  at,
  service: z.string(),
  instance: z.string(),
  worker: count,
  stream: z.enum(["stdout", "stderr"]),
  text: z.string(),
});

export const eventView = view<EventView>("Event")({
  sequence: count,
  at,
  type: z.string(),
  service: z.string().exactOptional(),
  instance: z.string().exactOptional(),
  worker: count.exactOptional(),
  message: z.string(),
  data: z.record(z.string(), z.unknown()).exactOptional(),
});

const milliseconds = z.number().nonnegative();

const startedView = view<StartedView>("Started")({ instance: z.string(), worker: count, readyMs: milliseconds });

const retiredView = view<RetiredView>("Retired")({
  instance: z.string(),
  worker: count,
  valve: z.enum(["epoll", "steered", "handoff", "signal", "none"]),
  why: z.string().exactOptional(),
  drainMs: milliseconds,
  drained: count,
  closed: count,
  cut: count,
  handedOver: count,
  forced: z.boolean(),
  end: z.string(),
});

const socketReceiptView = view<SocketReceiptView>("SocketReceipt")({
  name: z.string(),
  address: z.string(),
  highestQueue: count,
  drops: count,
});

export const receiptView = view<ReceiptView>("Receipt")({
  service: z.string(),
  started: z.array(startedView),
  retired: z.array(retiredView),
  sockets: z.array(socketReceiptView),
  longestUnreadyMs: milliseconds,
  listenDrops: count,
  listenOverflows: count,
});

const alsoView = view<AlsoView>("Also")({
  service: z.string(),
  action: z.enum(["started", "stopped", "restarted"]),
});

export const outcome = view<Outcome>("Outcome")({
  service: z.string(),
  result: z.enum(["done", "unchanged", "failed", "rolled-back", "superseded", "not-running", "timed-out"]),
  message: z.string(),
  failure: failureView.exactOptional(),
  receipt: receiptView.exactOptional(),
  also: z.array(alsoView).exactOptional(),
  durationMs: z.number().nonnegative(),
});

export const plannedChange = view<PlannedChange>("PlannedChange")({
  subject: z.enum(["socket", "service", "supervisor", "files"]),
  name: z.string(),
  change: z.enum(["add", "change", "remove"]),
  how: z.enum(["live", "rolling", "rebind", "restart"]).exactOptional(),
  keys: z.array(z.string()),
  message: z.string(),
});

export const planView = view<PlanView>("Plan")({
  id: z.string(),
  files: z.array(z.string()),
  changes: z.array(plannedChange),
  warnings: z.array(z.string()),
});

export const applyView = view<ApplyView>("Apply")({
  result: z.enum(["done", "unchanged", "failed", "rolled-back"]),
  message: z.string(),
  changes: z.array(plannedChange),
  service: z.string().exactOptional(),
  failure: failureView.exactOptional(),
  receipts: z.array(receiptView),
  durationMs: z.number().nonnegative(),
});

const signalName = z
  .string()
  .refine((name) => name in constants.signals, { error: "is not a signal of this system, e.g. SIGHUP" });

export const action = z
  .discriminatedUnion("action", [
    z.strictObject({ action: z.enum(["start", "reload", "reset"]) }),
    z.strictObject({ action: z.literal("stop"), beside: z.array(z.string()).exactOptional() }),
    z.strictObject({
      action: z.literal("restart"),
      hard: z.boolean().default(false),
      check: z.boolean().exactOptional(),
    }),
    z.strictObject({ action: z.literal("canary"), percent: z.int().min(1).max(99) }),
    z.strictObject({ action: z.enum(["promote", "abort"]) }),
    z.strictObject({ action: z.literal("scale"), workers: z.int().min(1).max(256) }),
    z.strictObject({
      action: z.literal("signal"),
      signal: signalName,
      to: z.literal("left-behind").exactOptional(),
    }),
  ])
  .register(components, { id: "Action" }) satisfies z.ZodType<Action>;

export const socketAction = z
  .discriminatedUnion("action", [
    z.strictObject({ action: z.literal("pause"), maxMs: z.int().min(1).max(3_600_000) }),
    z.strictObject({ action: z.literal("resume") }),
  ])
  .register(components, { id: "SocketAction" }) satisfies z.ZodType<SocketAction>;

export const socketOutcome = view<SocketOutcome>("SocketOutcome")({
  socket: z.string(),
  result: z.enum(["done", "unchanged", "failed"]),
  message: z.string(),
});

export const waitFor = z.enum(["ready", "stopped", "running", "completed"]) satisfies z.ZodType<WaitFor>;

/** The last event of a follower that was too slow: so many items were not sent; the stream ends after it. */
export const gap = z.object({ dropped: z.int().positive() }).register(components, { id: "Gap" });

export const errorBody = z
  .object({ error: z.looseObject({ code: z.string(), message: z.string() }) })
  .register(components, { id: "Error" });
