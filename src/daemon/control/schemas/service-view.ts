import * as z from "zod";
import type { AcceptView, AwaitedView, FailureView, ServiceView, WorkerView } from "../api.js";
import { at, count, view } from "./component.js";

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
