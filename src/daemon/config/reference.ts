import type { z } from "zod";
import { jsonSchema } from "./json-schema.js";
import { laterThings } from "./later.js";
import { noteOf } from "./leaf.js";
import { rootSchema, supervisorSchema } from "./schema.js";
import { serviceSchema } from "./schema-service.js";
import { socketSchema } from "./schema-socket.js";
import { keyPaths, shapeOf, unwrap } from "./shape.js";

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

function typeOf(schema: z.core.$ZodType): string {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case "table":
      return "table";
    case "record":
      return `table of ${noteOf(shape.value).word}s`;
    case "list":
      return `list: ${noteOf(shape.item).word}`;
    case "leaf":
      return noteOf(unwrap(schema)).word ?? "";
  }
}

/** config/holdfast.schema.json as it should be. */
export function schemaText(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}
