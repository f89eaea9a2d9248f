import type { z } from "zod";
import { noteOf } from "./leaf.js";
import { type Entry, entriesOf, type Tree } from "./tree.js";

export type AnySchema = z.core.$ZodType;

/** Without `optional` and `prefault`. */
export function unwrap(schema: AnySchema): AnySchema {
  const { def } = schema._zod as { def: { type: string; innerType?: AnySchema } };
  return (def.type === "optional" || def.type === "prefault") && def.innerType !== undefined
    ? unwrap(def.innerType)
    : schema;
}

/** What a schema is made of, as far as names go. A record has any name; a leaf has none. */
export type Shape =
  | { readonly kind: "table"; readonly keys: Readonly<Record<string, AnySchema>> }
  | { readonly kind: "record"; readonly value: AnySchema }
  | { readonly kind: "list"; readonly item: AnySchema }
  | { readonly kind: "leaf" };

export function shapeOf(schema: AnySchema): Shape {
  const def = (unwrap(schema) as z.ZodType)._zod.def as unknown as {
    type: string;
    shape?: Record<string, AnySchema>;
    valueType?: AnySchema;
    element?: AnySchema;
  };
  if (def.type === "object" && def.shape !== undefined) return { kind: "table", keys: def.shape };
  if (def.type === "record" && def.valueType !== undefined) return { kind: "record", value: def.valueType };
  if (def.type === "array" && def.element !== undefined) return { kind: "list", item: def.element };
  return { kind: "leaf" };
}

/** The names that a table knows, for suggestions. */
export function keysOf(schema: AnySchema): string[] {
  const shape = shapeOf(schema);
  return shape.kind === "table" ? Object.keys(shape.keys) : [];
}

/** Every key below `schema` as `restart.limit.starts`, tables included, in the order of the schema. */
export function keyPaths(schema: AnySchema, prefix = ""): { path: string; schema: AnySchema }[] {
  const shape = shapeOf(schema);
  if (shape.kind !== "table") return [];
  return Object.entries(shape.keys).flatMap(([key, inner]) => [
    { path: prefix + key, schema: inner },
    ...keyPaths(inner, `${prefix}${key}.`),
  ]);
}

/**
 * Write out what may be written short, so that merging and validation meet one form: a table by its main key
 * (`restart = "never"`), a list by its only item, a mode as `0o660`. What does not fit stays for the schema to refuse.
 */
export function expand(node: Tree, schema: AnySchema): Tree {
  const inner = unwrap(schema);
  const shape = shapeOf(inner);
  const note = noteOf(inner);
  switch (shape.kind) {
    case "table": {
      if (node.kind !== "table") {
        const key = note.shorthand;
        const item = key === undefined ? undefined : shape.keys[key];
        if (key === undefined || item === undefined || node.kind === "null") return node;
        const takesLists = noteOf(unwrap(item)).list === true || shapeOf(item).kind === "list";
        if (node.kind === "list" && !takesLists) return node;
        return { kind: "table", at: node.at, entries: new Map([[key, { keyAt: node.at, node: expand(node, item) }]]) };
      }
      const entries = new Map<string, Entry>();
      for (const [key, entry] of entriesOf(node)) {
        const known = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined;
        entries.set(key, known === undefined ? entry : { ...entry, node: expand(entry.node, known) });
      }
      return { ...node, entries };
    }
    case "list": {
      if (node.kind === "list") return { ...node, items: node.items.map((item) => expand(item, shape.item)) };
      if (node.kind === "table" || node.kind === "null") return node;
      return { kind: "list", at: node.at, items: [expand(node, shape.item)] };
    }
    case "record":
      return node;
    case "leaf":
      return note.octal === true && node.kind === "number" && node.raw.startsWith("0o")
        ? { ...node, kind: "string", value: node.raw }
        : node;
  }
}
