import type { z } from "zod";
import { jsonSchema } from "./json-schema.js";
import { laterThings } from "./later.js";
import { noteOf } from "./leaf.js";
import { rootSchema, supervisorSchema } from "./schema.js";
import { serviceSchema } from "./schema-service.js";
import { socketSchema } from "./schema-socket.js";
import { keyPaths, shapeOf } from "./shape.js";

const SECTIONS: Readonly<Record<string, z.ZodType>> = {
  top: rootSchema.pick({ $schema: true, version: true }),
  supervisor: supervisorSchema,
  socket: socketSchema,
  service: serviceSchema,
};

/**
 * docs/configuration.md with its tables made anew: what stands between `<!-- keys: service -->` and `<!-- end -->`
 * belongs to this function, the rest to people.
 */
export function updateReference(markdown: string): string {
  return markdown.replace(
    /(<!-- keys: ([a-z]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => {
      const table = name === "later" ? laterTable() : keyTable(name);
      return `${start}\n${table}\n${end}`;
    },
  );
}

function keyTable(name: string): string {
  const schema = SECTIONS[name];
  if (schema === undefined) throw new Error(`docs/configuration.md asks for the keys of ${name}, which is no section`);
  const rows = keyPaths(schema).map(({ path, schema: key }) => {
    const description = (key as z.ZodType).meta()?.description ?? "";
    const example = noteOf(key).example;
    return `| \`${path}\` | ${typeOf(key)} | ${defaultOf(key)} | ${cell(description)} | ${example === undefined ? "" : `\`${cell(example)}\``} |`;
  });
  return ["| key | type | without it | meaning | example |", "|---|---|---|---|---|", ...rows, ""].join("\n");
}

function laterTable(): string {
  const rows = laterThings().map(({ written, is }) => `| \`${written}\` | ${cell(is)} |`);
  return ["| refused | what it is |", "|---|---|", ...rows, ""].join("\n");
}

function cell(text: string): string {
  return text.replace(/\|/g, "\\|");
}

function defaultOf(schema: z.core.$ZodType): string {
  const { otherwise } = noteOf(schema);
  if (otherwise !== undefined) return cell(otherwise);
  const { def } = schema._zod as unknown as { def: { type: string; defaultValue?: unknown } };
  if (def.type !== "prefault") return "**required**";
  const value = def.defaultValue;
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return shapeOf(schema).kind === "record" ? "none" : "see below";
  return Array.isArray(value) && value.length === 0 ? "none" : `\`${JSON.stringify(value)}\``;
}

/** The type in a word or two, from the same notes that editors get. */
function typeOf(schema: z.core.$ZodType): string {
  const shape = shapeOf(schema);
  if (shape.kind === "table") return "table";
  if (shape.kind === "record") return "table of values";
  if (shape.kind === "list")
    return `list of ${wordFor(noteOf(shape.item).json).replace(/^(string|integer|address)$/, "$1s")}`;
  return wordFor(noteOf(unwrapped(schema)).json);
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod as unknown as { def: { innerType?: z.core.$ZodType } };
  return def.innerType === undefined ? schema : unwrapped(def.innerType);
}

function wordFor(json: Readonly<Record<string, unknown>> | undefined): string {
  if (json === undefined) return "value";
  if (Array.isArray(json.enum)) return json.enum.map((word) => `\`"${String(word)}"\``).join(", ");
  if ("const" in json) return `\`${JSON.stringify(json.const)}\``;
  if (Array.isArray(json.anyOf)) return [...new Set(json.anyOf.map(wordFor))].join(" or ");
  const pattern = String(json.pattern ?? "");
  if (pattern.includes("min|h|d")) return "duration";
  if (pattern.includes("KiB")) return "size";
  if (pattern.includes("[0-7]")) return "octal mode";
  if (pattern.includes("unix-dgram")) return "address";
  if (pattern.startsWith("^file:")) return '`"file:PATH"`';
  if (json.type === "boolean") return "true or false";
  if (json.type === "array") return `list of ${wordFor(json.items as Record<string, unknown>)}s`;
  const { minimum, maximum } = json;
  const range = minimum !== undefined && maximum !== undefined ? `, ${String(minimum)} to ${String(maximum)}` : "";
  return `${String(json.type)}${range}`;
}

/** config/holdfast.schema.json as it should be. */
export function schemaText(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}
