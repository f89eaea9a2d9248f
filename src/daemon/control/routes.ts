import * as z from "zod";
import { ControlError } from "./control-error.js";
import { openApiDocument } from "./openapi.js";
import { type Route, type RouteContext, route } from "./route.js";
import * as schemas from "./schemas.js";

/** The longest wait that one request may ask for. */
const maxWaitMs = 3_600_000;

const lines = z
  .string()
  .regex(/^\d{1,5}$/, "must be a whole number from 0 to 99999")
  .default("100")
  .transform(Number)
  .meta({ description: "how many of the last entries come first" });
const follow = z
  .enum(["0", "1", "true", "false"])
  .default("0")
  .transform((text) => text === "1" || text === "true")
  .meta({ description: "1: answer with server-sent events, until the client goes" });
const tailQuery = z.strictObject({ lines, follow });
const timeout = z
  .string()
  .regex(/^\d{1,7}$/, `must be milliseconds, at most ${maxWaitMs}`)
  .default("30000")
  .transform(Number)
  .refine((ms) => ms <= maxWaitMs, `must be at most ${maxWaitMs} milliseconds`)
  .meta({ description: "milliseconds" });

const absolutePath = z
  .string()
  .regex(/^\/[^\0]*$/, "must be an absolute path")
  .max(4095);

/** Every operation of `/v1`, in the order of the OpenAPI document. */
export const routes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/supervisor",
    operationId: "getSupervisor",
    summary: "The supervisor itself",
    response: schemas.supervisorView,
    handle: ({ operations }) => operations.supervisor(),
  }),
  route({
    method: "get",
    path: "/v1/services",
    operationId: "listServices",
    summary: "All services",
    response: z.object({ services: z.array(schemas.serviceView) }),
    handle: ({ operations }) => ({ services: operations.services() }),
  }),
  route({
    method: "get",
    path: "/v1/services/{name}",
    operationId: "getService",
    summary: "One service",
    response: schemas.serviceView,
    handle: ({ operations }, { name }) => operations.service(name) ?? unknownService(name),
  }),
  route({
    method: "post",
    path: "/v1/services/{name}/actions",
    operationId: "actOnService",
    summary: "Act on a service; the answer comes when the action is complete, has failed or was superseded",
    body: schemas.action,
    response: schemas.outcome,
    handle: async (context, { name, body }) => {
      const running = context.operations.act(name, body) ?? unknownService(name);
      const { peer } = context;
      context.log({
        level: "info",
        event: "control-action",
        message: `uid ${peer.uid} (pid ${peer.pid}) asked for ${body.action} of ${name}`,
        data: { service: name, ...body, uid: peer.uid, pid: peer.pid },
      });
      return running;
    },
  }),
  route({
    method: "get",
    path: "/v1/services/{name}/wait",
    operationId: "waitForService",
    summary: "Answers once the service has reached a state, or when the time is over",
    query: z.strictObject({ for: schemas.waitFor, timeout }),
    response: z.object({ result: z.enum(["reached", "timed-out"]) }),
    handle: async ({ operations, signal }, { name, query }) => {
      const waiting = operations.waitFor(name, query.for, query.timeout, signal) ?? unknownService(name);
      return { result: await waiting };
    },
  }),
  route({
    method: "get",
    path: "/v1/services/{name}/logs",
    operationId: "readLogs",
    summary: "The last lines that the workers of a service wrote",
    query: tailQuery,
    response: z.object({ lines: z.array(schemas.logLine), dropped: z.int().nonnegative() }),
    stream: { log: schemas.logLine, gap: schemas.gap },
    handle: (context, { name, query }) => {
      const { operations } = context;
      const tail = operations.logs(name, query.lines) ?? unknownService(name);
      if (!query.follow) return tail;
      return context.follow({
        event: "log",
        history: tail.lines,
        subscribe: (take) => operations.followLogs(name, take),
      });
    },
  }),
  route({
    method: "get",
    path: "/v1/events",
    operationId: "readEvents",
    summary: "The last facts that the supervisor noted",
    query: tailQuery,
    response: z.object({ events: z.array(schemas.eventView) }),
    stream: { event: schemas.eventView, gap: schemas.gap },
    handle: (context, { query }) => {
      const { operations } = context;
      const events = operations.events(query.lines);
      if (!query.follow) return { events };
      return context.follow({
        event: "event",
        id: (event) => event.sequence,
        history: events,
        subscribe: (take) => operations.followEvents(take),
      });
    },
  }),
  route({
    method: "get",
    path: "/v1/sockets",
    operationId: "listSockets",
    summary: "All sockets that are configured",
    response: z.object({ sockets: z.array(schemas.socketView) }),
    handle: ({ operations }) => ({ sockets: operations.sockets() }),
  }),
  route({
    method: "post",
    path: "/v1/sockets/{name}/actions",
    operationId: "actOnSocket",
    summary: "Pause or resume a socket",
    body: schemas.socketAction,
    response: schemas.socketOutcome,
    handle: async (context, { name, body }) => {
      const acting = context.operations.actOnSocket(name, body);
      if (acting === undefined)
        throw new ControlError("no-such-socket", `there is no socket "${name}"`, { socket: name });
      const { peer } = context;
      context.log({
        level: "info",
        event: "control-action",
        message: `uid ${peer.uid} (pid ${peer.pid}) asked for ${body.action} of socket ${name}`,
        data: { socket: name, ...body, uid: peer.uid, pid: peer.pid },
      });
      return acting;
    },
  }),
  route({
    method: "get",
    path: "/v1/plan",
    operationId: "getPlan",
    summary: "What an apply would change: the configuration files as they are now, beside what is in force",
    response: schemas.planView,
    handle: ({ operations }) => operations.plan(),
  }),
  route({
    method: "post",
    path: "/v1/apply",
    operationId: "apply",
    summary: "Put the configuration files in force, all or nothing; the answer comes when that is complete or undone",
    body: z.strictObject({ plan: z.string().exactOptional() }),
    response: schemas.applyView,
    handle: async (context, { body }) => {
      const { peer } = context;
      context.log({
        level: "info",
        event: "control-action",
        message: `uid ${peer.uid} (pid ${peer.pid}) asked for apply`,
        data: { action: "apply", uid: peer.uid, pid: peer.pid },
      });
      return context.operations.apply(body.plan);
    },
  }),
  route({
    method: "post",
    path: "/v1/supervisor/re-exec",
    operationId: "reExecKeeper",
    summary:
      "Have the keeper become its own program once more, or another one; the answer comes when that is done or refused",
    body: z.strictObject({ path: absolutePath.exactOptional() }),
    response: schemas.reExecView,
    handle: async ({ operations, log, peer }, { body: { path } }) => {
      // Whoever names the program runs it as the keeper's user: that is more than to operate services.
      if (path !== undefined && peer.uid !== 0 && peer.uid !== process.getuid?.())
        throw new ControlError("permission-denied", "only root and the user of holdfast may name the keeper's program");
      log({
        level: "info",
        event: "control-action",
        message: `uid ${peer.uid} (pid ${peer.pid}) asked for re-exec of the keeper${path === undefined ? "" : ` to ${path}`}`,
        data: { action: "re-exec", ...(path === undefined ? {} : { path }), uid: peer.uid, pid: peer.pid },
      });
      return operations.reExec(path);
    },
  }),
  route({
    method: "post",
    path: "/v1/supervisor/upgrade",
    operationId: "upgradeSupervisor",
    summary:
      "Try another version of the supervisor and have it take over, if it would leave everything as it is; the answer comes before it does",
    body: z.strictObject({
      directory: absolutePath.exactOptional(),
      timeoutMs: z.int().min(1).max(3_600_000),
    }),
    response: schemas.upgradeView,
    handle: async ({ operations, log, peer }, { body: { directory, timeoutMs } }) => {
      if (directory !== undefined && peer.uid !== 0 && peer.uid !== process.getuid?.())
        throw new ControlError(
          "permission-denied",
          "only root and the user of holdfast may name another version of it",
        );
      log({
        level: "info",
        event: "control-action",
        message: `uid ${peer.uid} (pid ${peer.pid}) asked for an upgrade of the supervisor${directory === undefined ? "" : ` to ${directory}`}`,
        data: { action: "upgrade", ...(directory === undefined ? {} : { directory }), uid: peer.uid, pid: peer.pid },
      });
      return operations.upgrade(directory, timeoutMs);
    },
  }),
  route({
    method: "get",
    path: "/v1/openapi.json",
    operationId: "getOpenApi",
    summary: "This document",
    response: z.looseObject({ openapi: z.string() }),
    handle: ({ operations }: RouteContext) => openApiDocument(routes, operations.supervisor().version),
  }),
];

function unknownService(name: string): never {
  throw new ControlError("no-such-service", `there is no service "${name}"`, { service: name });
}
