import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import type { Operations } from "./api.js";
import { ControlError } from "./control-error.js";
import type { ControlLog } from "./control-event.js";
import { Follower, type FollowerOptions } from "./follower.js";
import type { PeerCredentials } from "./peer.js";
import type { Route, RouteContext } from "./route.js";
import { routes } from "./routes.js";

export const maxBodyBytes = 64 * 1024;

type Env = { Bindings: HttpBindings };

/** The routes as an application of hono: validation, JSON, errors. It knows nothing of sockets and connections. */
export function controlApp(o: {
  readonly operations: Operations;
  readonly log: ControlLog;
  readonly peerOf: (request: HttpBindings["incoming"]) => PeerCredentials;
  /** Every follower that is open, so that the server can end them. */
  readonly followers: Set<{ end(): void }>;
}): Hono<Env> {
  const app = new Hono<Env>();
  app.onError((error) => answerError(error, o.log));
  app.notFound((c) => {
    const { path } = c.req;
    const methods = routes.filter((route) => matches(route, path)).map((route) => route.method.toUpperCase());
    if (methods.length === 0) throw new ControlError("no-such-route", `there is no ${path}; see /v1/openapi.json`);
    throw new ControlError("method-not-allowed", `${path} takes ${methods.join(", ")}, not ${c.req.method}`);
  });
  // HEAD would be served by GET's handler, whose stream nobody would then read or cancel.
  app.use(async (c, next) => (c.req.method === "HEAD" ? c.notFound() : next()));
  for (const route of routes) {
    app.on(route.method.toUpperCase(), route.path.replace(/\{(\w+)\}/g, ":$1"), async (c) => {
      const context: RouteContext = {
        operations: o.operations,
        log: o.log,
        peer: o.peerOf(c.env.incoming),
        signal: c.req.raw.signal,
        follow: (options) => openFollower(options, o),
      };
      const body = route.body === undefined ? undefined : await readJson(c.env.incoming);
      const answer = await route.answer(context, c.req.param("name") ?? "", c.req.query(), body);
      if (!(answer instanceof ReadableStream)) return c.json(answer);
      const { pid, starts } = o.operations.supervisor();
      return c.body(answer, 200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "holdfast-supervisor": `${pid}.${starts}`,
      });
    });
  }
  return app;
}

function openFollower<Item>(
  options: Omit<FollowerOptions<Item>, "onEnd">,
  o: { readonly log: ControlLog; readonly followers: Set<{ end(): void }> },
): ReadableStream<Uint8Array> {
  const follower: Follower<Item> = new Follower<Item>({
    ...options,
    onEnd: (dropped) => {
      o.followers.delete(follower);
      if (dropped === 0) return;
      o.log({
        level: "warn",
        event: "control-follower-too-slow",
        message: `a follower of ${options.event} entries read too slowly: ${dropped} were not sent, and it was disconnected`,
        data: { dropped },
      });
    },
  });
  o.followers.add(follower);
  return follower.stream;
}

/** Reads the request itself and not hono's copy of it, so that what is too large is never kept. */
async function readJson(incoming: HttpBindings["incoming"]): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new ControlError("body-too-large", `a body has at most ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new ControlError("bad-request", `the body is not JSON: ${cause.message}`);
  }
}

/** Turns whatever a request met into the error body; what nobody expected is logged with its cause and not shown. */
export function answerError(error: unknown, log: ControlLog): Response {
  const known = error instanceof ControlError ? error : internalError(error, log);
  return new Response(JSON.stringify(known.body), {
    status: known.status,
    headers: { "content-type": "application/json" },
  });
}

function internalError(cause: unknown, log: ControlLog): ControlError {
  log({
    level: "error",
    event: "control-internal-error",
    message: `a request failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause,
  });
  return new ControlError("internal-error", "the supervisor failed to answer; its log says why");
}

function matches(route: Route, path: string): boolean {
  return new RegExp(`^${route.path.replaceAll(".", "\\.").replace(/\{\w+\}/g, "[^/]+")}$`).test(path);
}
