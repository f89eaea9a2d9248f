import { z } from "zod";
import { noteOf } from "./leaf.js";
import { rootSchema } from "./schema.js";
import { shapeOf, unwrap } from "./shape.js";

type JsonSchema = Record<string, unknown>;

/** The JSON Schema of a configuration file, for editors. It knows shapes and words; references and rights it does not. */
export function jsonSchema(): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(rootSchema, { io: "input", unrepresentable: "any", override });
  return {
    $schema,
    title: "Holdfast configuration",
    ...schema,
  };
}

function override({ zodSchema, jsonSchema: json }: { zodSchema: z.core.$ZodTypes; jsonSchema: JsonSchema }): void {
  const note = noteOf(zodSchema);
  if (note.json !== undefined) Object.assign(json, note.json);
  const shape = shapeOf(zodSchema);
  if (json.type === "array" && shape.kind === "list" && shapeOf(shape.item).kind === "table") {
    // One item without the brackets; as text, because a list would be taken for several.
    json.anyOf = [{ type: "string" }, { type: "array", items: json.items }];
    delete json.type;
    delete json.items;
  } else if (json.type === "array" && shape.kind === "list") allowAlso(json, shape.item, ["type", "items"]);
  else if (json.type === "object" && shape.kind === "table" && note.shorthand !== undefined) {
    const main = shape.keys[note.shorthand];
    if (main !== undefined) allowAlso(json, main, ["type", "properties", "required", "additionalProperties"]);
  }
}

/** Turn `json` into "that, or this": what may be written short is one more form of the same value. */
function allowAlso(json: JsonSchema, short: z.core.$ZodType, keys: readonly string[]): void {
  const long = Object.fromEntries(keys.filter((key) => key in json).map((key) => [key, json[key]]));
  for (const key of keys) delete json[key];
  json.anyOf = [{ ...noteOf(unwrap(short)).json }, long];
}
