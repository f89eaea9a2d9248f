import type * as z from "zod";
import type { Operations } from "./api.js";
import { ControlError } from "./control-error.js";
import type { ControlLog } from "./control-event.js";
import type { FollowerOptions } from "./follower.js";
import type { PeerCredentials } from "./peer.js";

/** What a route may use. */
export interface RouteContext {
  readonly operations: Operations;
  readonly log: ControlLog;
  readonly peer: PeerCredentials;
  /** Aborted when the client has gone before its answer. */
  readonly signal: AbortSignal;
  /** Makes the stream of a follower that ends with the server. */
  follow<Item>(options: Omit<FollowerOptions<Item>, "onEnd">): ReadableStream<Uint8Array>;
}

/** One request after its parts were validated. */
export interface RouteRequest<Query, Body> {
  /** The `{name}` of the path; empty where the path has none. */
  readonly name: string;
  readonly query: Query;
  readonly body: Body;
}

/** One operation of the interface: what is served, what is validated and what the OpenAPI document says are this one thing. */
export interface Route {
  readonly method: "get" | "post";
  /** As OpenAPI writes it: `/v1/services/{name}`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  readonly response: z.ZodType;
  /** With `follow`, the answer is a stream of these server-sent events: name -> schema of the data. */
  readonly stream: Readonly<Record<string, z.ZodType>> | undefined;
  answer(context: RouteContext, name: string, query: unknown, body: unknown): Promise<unknown>;
}

/** Ties the schemas of a route to the types of its handler. A handler answers with a view, or with a stream of events. */
export function route<Query extends z.ZodObject, Body extends z.ZodType, Result extends z.ZodType>(o: {
  readonly method: "get" | "post";
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly query?: Query;
  readonly body?: Body;
  readonly response: Result;
  readonly stream?: Readonly<Record<string, z.ZodType>>;
  readonly handle: (
    context: RouteContext,
    request: RouteRequest<z.output<Query>, z.output<Body>>,
  ) => Readable<z.output<Result>> | ReadableStream<Uint8Array> | Promise<Readable<z.output<Result>>>;
}): Route {
  return {
    method: o.method,
    path: o.path,
    operationId: o.operationId,
    summary: o.summary,
    query: o.query,
    body: o.body,
    response: o.response,
    stream: o.stream,
    answer: async (context, name, query, body) =>
      o.handle(context, {
        name,
        query: validate(o.query, query, "query") as z.output<Query>,
        body: validate(o.body, body, "body") as z.output<Body>,
      }),
  };
}

/** Views are read-only all the way down; what zod infers is not. */
type Readable<T> = T extends object ? { readonly [K in keyof T]: Readable<T[K]> } : T;

function validate(schema: z.ZodType | undefined, value: unknown, part: "query" | "body"): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({
    path: issue.path.map(String).join("."),
    message: issue.message,
  }));
  const words = issues.map((issue) => (issue.path === "" ? issue.message : `${issue.path}: ${issue.message}`));
  throw new ControlError("bad-request", `the ${part} is wrong: ${words.join("; ")}`, { issues });
}
