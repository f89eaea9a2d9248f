import type { z } from "zod";
import { interpolate } from "./interpolate.js";
import { describeValue } from "./leaf.js";
import { type Findings, wrong } from "./problem.js";
import { rootSchema } from "./schema.js";
import { entriesOf, mapStrings, type TableNode, toPlain } from "./tree.js";
import { validate } from "./validate.js";

const SECTION_NAMES = ["supervisor", "defaults", "socket", "service"] as const;

/** The four tables of all files together. */
export type Sections = Readonly<Record<(typeof SECTION_NAMES)[number], TableNode>>;

/** `$NAME` in every string. A string that fails is not judged any further. */
export function substitute(tree: TableNode, env: NodeJS.ProcessEnv, findings: Findings): TableNode {
  const replaced = mapStrings(tree, (node, path) => {
    const result = interpolate(node.value as string, env);
    if (result.ok && !result.value.includes("\0")) return { ...node, value: result.value, raw: result.value };
    findings.addLast(
      node.at,
      path,
      result.ok ? wrong("a string with a NUL byte cannot reach a program").wrong : result.wrong,
    );
    return node;
  });
  return replaced as TableNode;
}

/**
 * Put the files together, the main one first. `version` stands in each file for itself; a name or key that two files
 * define is a problem that names both places.
 */
export function gatherSections(files: readonly TableNode[], findings: Findings): Sections {
  const place = files[0]?.at ?? { file: "", line: 1, column: 1 };
  const empty = (): TableNode => ({ kind: "table", at: place, entries: new Map() });
  const sections = { supervisor: empty(), defaults: empty(), socket: empty(), service: empty() };
  for (const [index, file] of files.entries()) {
    checkHead(file, index === 0, findings);
    for (const name of SECTION_NAMES) sections[name] = addSection(sections[name], name, file, findings);
  }
  return sections;
}

/** Everything at the top of a file that is not one of the four tables. */
function checkHead(file: TableNode, main: boolean, findings: Findings): void {
  const head: TableNode = { ...file, entries: new Map(file.entries) };
  for (const name of SECTION_NAMES) head.entries.delete(name);
  const schema: z.ZodType = main ? HEAD : HEAD.partial();
  validate(schema, head, { path: [], findings, known: rootSchema });
}

const HEAD = rootSchema.pick({ $schema: true, version: true });

function addSection(
  into: TableNode,
  name: (typeof SECTION_NAMES)[number],
  file: TableNode,
  findings: Findings,
): TableNode {
  const entry = file.entries.get(name);
  if (entry === undefined) return into;
  if (entry.node.kind !== "table") {
    const found = `expected a table, found ${describeValue(toPlain(entry.node))}`;
    const named = name === "socket" || name === "service";
    findings.add(
      entry.node.at,
      [name],
      wrong(found, { code: "wrong-type", hint: named ? `each ${name} has a name, as in ${name}.web` : undefined })
        .wrong,
    );
    return into;
  }
  const entries = new Map(into.entries);
  for (const [key, own] of entriesOf(entry.node)) {
    const first = entries.get(key);
    if (first === undefined) {
      entries.set(key, own);
      continue;
    }
    const { file: where, line, column } = first.keyAt;
    findings.add(
      own.keyAt,
      [name, key],
      wrong(`this is defined at ${where}:${line}:${column} already`, { code: "duplicate" }).wrong,
    );
  }
  return { kind: "table", at: into.entries.size === 0 ? entry.keyAt : into.at, entries };
}
