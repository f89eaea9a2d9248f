import type { z } from "zod";
import { laterKey } from "./later.js";
import { describeValue, wrongOf } from "./leaf.js";
import { didYouMean } from "./nearest.js";
import { type Findings, formatPath, type KeyPath, type Wrong } from "./problem.js";
import { type AnySchema, keyPaths, keysOf, shapeOf } from "./shape.js";
import { placeOf, type Tree, toPlain } from "./tree.js";

/** What people call our keys elsewhere: systemd, supervisord, pm2, compose files. */
const OTHER_NAMES = new Map([
  ["cmd", "command"],
  ["exec", "command"],
  ["execstart", "command"],
  ["exec_start", "command"],
  ["program", "command"],
  ["script", "command"],
  ["args", "command"],
  ["environment", "env"],
  ["environment_file", "env_files"],
  ["env_file", "env_files"],
  ["cwd", "working_directory"],
  ["dir", "working_directory"],
  ["directory", "working_directory"],
  ["workdir", "working_directory"],
  ["replicas", "workers"],
  ["instances", "workers"],
  ["numprocs", "workers"],
  ["processes", "workers"],
  ["autostart", "start"],
  ["autorestart", "restart"],
  ["stdout", "log"],
  ["stderr", "log"],
  ["rlimits", "limits"],
  ["ulimits", "limits"],
  ["stop_signal", "stop.signal"],
  ["stopsignal", "stop.signal"],
  ["stop_timeout", "stop.timeout"],
  ["address", "listen"],
  ["bind", "listen"],
  ["port", "listen"],
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
  const result = schema.safeParse(toPlain(node));
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const below = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        const path = [...o.path, ...below, key];
        o.findings.add(placeOf(node, [...below, key], "key"), path, unknownKey(o.known ?? schema, below, path));
      }
      continue;
    }
    const of = issue.code === "invalid_key" ? "key" : "value";
    o.findings.add(placeOf(node, below, of), [...o.path, ...below], wordsFor(issue));
  }
  return undefined;
}

function wordsFor(issue: z.core.$ZodIssue): Wrong {
  const own = issue.code === "invalid_key" && issue.issues[0] !== undefined ? wrongOf(issue.issues[0]) : wrongOf(issue);
  if (own !== undefined) return own;
  if (issue.code === "invalid_type") {
    const expected = issue.expected === "array" ? "a list" : "a table";
    return { code: "wrong-type", message: `expected ${expected}, found ${describeValue(issue.input)}` };
  }
  return { code: "invalid-value", message: issue.message };
}

/** `service.web.ready` and `defaults.ready` are both `service.ready`. */
function sectionOf(path: KeyPath): string {
  const [first, ...rest] = path;
  if (first === "service" || first === "socket") return formatPath([first, ...rest.slice(1)]);
  return formatPath(first === "defaults" ? ["service", ...rest] : path);
}

function unknownKey(schema: AnySchema, below: readonly (string | number)[], path: KeyPath): Wrong {
  const key = String(path[path.length - 1]);
  const section = sectionOf(path.slice(0, -1));
  const later = laterKey(section, key);
  if (later !== undefined) return { code: "not-yet", message: later };
  const table = below.reduce<AnySchema | undefined>(
    (now, step) => (now === undefined ? undefined : inside(now, step)),
    schema,
  );
  const hint = table === undefined ? undefined : hintFor(key, section, table);
  return { code: "unknown-key", message: "unknown key", ...(hint === undefined ? {} : { hint }) };
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
  const other = OTHER_NAMES.get(key.toLowerCase());
  if (other !== undefined && paths.includes(other)) return `did you mean "${other}"?`;
  const near = didYouMean(key, keys);
  if (near !== undefined) return near;
  const deeper = paths.filter((path) => path.endsWith(`.${key}`)).slice(0, 3);
  if (deeper.length > 0) return `did you mean ${deeper.map((path) => `"${path}"`).join(" or ")}?`;
  return keys.length <= MOST_LISTED ? `there are ${keys.filter((k) => !k.startsWith("$")).join(", ")}` : undefined;
}
