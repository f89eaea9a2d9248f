import type { z } from "zod";
import { laterKey } from "./later.js";
import { describeValue, noteOf, wrongOf } from "./leaf.js";
import { didYouMean } from "./nearest.js";
import { otherName } from "./other-names.js";
import { type Findings, formatPath, type KeyPath, type Wrong } from "./problem.js";
import { serviceSchema } from "./schema-service.js";
import { socketSchema } from "./schema-socket.js";
import { type AnySchema, keyPaths, keysOf, shapeOf } from "./shape.js";
import { entriesOf, placeOf, type Tree, toPlain } from "./tree.js";

/** Whose key may have been meant for, by the section in which it stands. */
const ELSEWHERE = new Map<string, { readonly schema: AnySchema; readonly table: string }>([
  ["service", { schema: socketSchema, table: "[socket.NAME]" }],
  ["socket", { schema: serviceSchema, table: "[service.NAME]" }],
]);

/** Nothing to suggest is looked for beyond this many keys of one table. */
const MOST_LISTED = 10;

/**
 * Run `schema` over the plain values below `node` and put what it says to `findings`, in our words and at its place.
 * Undefined if anything is wrong. `known` names the keys for suggestions, where `schema` is only a part of the table.
 */
export function validate<S extends z.ZodType>(
  schema: S,
  node: Tree,
  o: { path: KeyPath; findings: Findings; known?: AnySchema },
): z.output<S> | undefined {
  const prototypes = refusePrototype(node, o);
  const plain = toPlain(node);
  const result = schema.safeParse(plain);
  if (result.success) return prototypes ? undefined : result.data;
  const { issues } = result.error;
  const suggested = new Set<string>();
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const below = stepsOf(issue);
    for (const key of issue.keys) {
      const path = [...o.path, ...below, key];
      const found = unknownKey(o.known ?? schema, below, { path, hint: !o.findings.full });
      o.findings.add(placeOf(node, [...below, key], "key"), path, found.wrong);
      for (const name of found.meant) suggested.add(formatPath([...below, name]));
    }
  }
  for (const issue of issues) {
    if (issue.code === "unrecognized_keys") continue;
    const below = stepsOf(issue);
    const found = wordsFor(issue, valueAt(plain, below), schemaAt(schema, below));
    // Who wrote `lisen` did not forget `listen`.
    if (found.code === "missing" && suggested.has(formatPath(below))) continue;
    o.findings.add(placeOf(node, below, issue.code === "invalid_key" ? "key" : "value"), [...o.path, ...below], found);
  }
  return undefined;
}

/** zod leaves `__proto__` out of what it reads, without a word. No key has that name, and no variable should. */
function refusePrototype(node: Tree, o: { path: KeyPath; findings: Findings }): boolean {
  let found = false;
  for (const [key, entry] of entriesOf(node)) {
    const path = [...o.path, key];
    if (key === "__proto__") {
      o.findings.add(entry.keyAt, path, { code: "unknown-key", message: "unknown key" });
      found = true;
    } else if (refusePrototype(entry.node, { ...o, path })) {
      found = true;
    }
  }
  return found;
}

function stepsOf(issue: z.core.$ZodIssue): (string | number)[] {
  return issue.path.map((step) => (typeof step === "number" ? step : String(step)));
}

function valueAt(plain: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (now, step) => (typeof now === "object" && now !== null ? Reflect.get(now, step) : undefined),
    plain,
  );
}

function schemaAt(schema: AnySchema, path: KeyPath): AnySchema | undefined {
  return path.reduce<AnySchema | undefined>((now, step) => (now === undefined ? undefined : inside(now, step)), schema);
}

function wordsFor(issue: z.core.$ZodIssue, value: unknown, schema: AnySchema | undefined): Wrong {
  const found =
    issue.code === "invalid_key" && issue.issues[0] !== undefined ? wrongOf(issue.issues[0]) : wrongOf(issue);
  if (value === undefined && issue.code !== "invalid_key") {
    const { example } = schema === undefined ? {} : noteOf(schema);
    const key = String(issue.path[issue.path.length - 1]);
    return {
      code: "missing",
      message: "is missing",
      ...(example === undefined ? {} : { hint: `for example ${key} = ${example}` }),
    };
  }
  const words = found ?? ownWords(issue, value);
  return value === null && words.hint === undefined
    ? { ...words, hint: "give the key a value, or leave it out" }
    : words;
}

function ownWords(issue: z.core.$ZodIssue, value: unknown): Wrong {
  if (issue.code !== "invalid_type") return { code: "invalid-value", message: issue.message };
  const expected = issue.expected === "array" ? "a list" : "a table";
  return { code: "wrong-type", message: `expected ${expected}, found ${describeValue(value)}` };
}

/** `service.web.ready` and `defaults.ready` are both `service.ready`. */
function sectionOf(path: KeyPath): string {
  const [first, ...rest] = path;
  if (first === "service" || first === "socket") return formatPath([first, ...rest.slice(1)]);
  return formatPath(first === "defaults" ? ["service", ...rest] : path);
}

/** What is wrong with a key, and the keys that may have been meant. */
function unknownKey(
  schema: AnySchema,
  below: KeyPath,
  { path, hint: wanted }: { path: KeyPath; hint: boolean },
): { wrong: Wrong; meant: readonly string[] } {
  const key = String(path[path.length - 1]);
  const section = sectionOf(path.slice(0, -1));
  const later = laterKey(section, key);
  const table = schemaAt(schema, below);
  if (later !== undefined) {
    // Inside a small table, such as reload, the later key stands in the place of what is required today.
    const meant = section.includes(".") && table !== undefined ? keysOf(table) : [];
    return { wrong: { code: "not-yet", message: later }, meant };
  }
  const hint = table === undefined || !wanted ? undefined : hintFor(key, section, table);
  const wrong: Wrong = { code: "unknown-key", message: "unknown key", ...(hint === undefined ? {} : { hint }) };
  return { wrong, meant: table === undefined ? [] : keysOf(table).filter((name) => hint?.includes(`"${name}"`)) };
}

function inside(schema: AnySchema, step: string | number): AnySchema | undefined {
  const shape = shapeOf(schema);
  if (shape.kind === "table") return Object.hasOwn(shape.keys, String(step)) ? shape.keys[String(step)] : undefined;
  if (shape.kind === "record") return shape.value;
  return shape.kind === "list" ? shape.item : undefined;
}

function hintFor(key: string, section: string, table: AnySchema): string | undefined {
  const keys = keysOf(table);
  const paths = keyPaths(table).map(({ path }) => path);
  if (section === "service" && /^(listen|port|ports|address|bind)$/.test(key)) {
    return 'a service names its sockets in sockets = ["NAME"], and [socket.NAME] has the addresses in listen';
  }
  const other = otherName(key);
  if (other !== undefined && paths.includes(other)) return `did you mean "${other}"?`;
  const elsewhere = ELSEWHERE.get(section);
  if (elsewhere !== undefined && keysOf(elsewhere.schema).includes(key)) return `it is a key of ${elsewhere.table}`;
  const near = didYouMean(key, keys);
  if (near !== undefined) return near;
  const deeper = paths.filter((path) => path.endsWith(`.${key}`)).slice(0, 3);
  if (deeper.length > 0) return `did you mean ${deeper.map((path) => `"${path}"`).join(" or ")}?`;
  const listed = keys.filter((name) => !name.startsWith("$"));
  if (listed.length > MOST_LISTED) return undefined;
  return listed.length === 1 ? `the only key here is ${listed[0]}` : `the keys here are ${listed.join(", ")}`;
}
