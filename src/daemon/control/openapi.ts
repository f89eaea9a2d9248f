import * as z from "zod";
import type { Route } from "./route.js";
import { components, errorBody } from "./schemas.js";

type Json = Readonly<Record<string, unknown>>;

/** The OpenAPI 3.1 description of the routes, made from the very schemas that validate their requests. */
export function openApiDocument(routes: readonly Route[], version: string): { openapi: string } & Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Holdfast control interface",
      version,
      description:
        "HTTP/1.1 over the control socket. One request per connection. Times are ISO 8601 in UTC, lengths of time are milliseconds.",
    },
    paths,
    components: { schemas: componentSchemas() },
  };
}

function operation(route: Route): Json {
  const content: Record<string, Json> = { "application/json": { schema: schemaOf(route.response, "output") } };
  if (route.stream !== undefined) {
    const events = Object.entries(route.stream).map(
      ([event, schema]) => `\`${event}\` (${components.get(schema)?.id ?? "object"})`,
    );
    content["text/event-stream"] = {
      schema: { type: "string", description: `With follow=1. Events: ${events.join(", ")}; the data of each is JSON.` },
    };
  }
  return {
    operationId: route.operationId,
    summary: route.summary,
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: { required: true, content: { "application/json": { schema: schemaOf(route.body, "input") } } },
        }),
    responses: {
      "200": { description: route.summary, content },
      default: {
        description: "Refused or failed: `error.code` says why",
        content: { "application/json": { schema: schemaOf(errorBody, "output") } },
      },
    },
  };
}

function pathParameters(route: Route): Json[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters(route: Route): Json[] {
  return Object.entries(route.query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = z.toJSONSchema(schema, { io: "input" });
    return {
      name,
      in: "query",
      required: !z.safeParse(schema, undefined).success,
      ...(description === undefined ? {} : { description }),
      schema: withoutDialect(rest),
    };
  });
}

function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(components, { io: "input", uri: reference });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, withoutDialect(schema)]));
}

/** A reference where the schema is a component, the schema itself (with references inside) where it is not. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const component = components.get(schema);
  if (component !== undefined) return { $ref: reference(component.id) };
  return withoutDialect(
    z.toJSONSchema(schema, {
      io,
      metadata: z.registry<{ id?: string }>(),
      override: ({ zodSchema, jsonSchema }) => {
        const inner = components.get(zodSchema);
        if (inner === undefined) return;
        for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
        jsonSchema.$ref = reference(inner.id);
      },
    }),
  );
}

function reference(id: string): string {
  return `#/components/schemas/${id}`;
}

/** OpenAPI 3.1 names its dialect once for the whole document, and its components by their place. */
function withoutDialect({ $schema: _dialect, $id: _id, ...schema }: Json): Json {
  return schema;
}
