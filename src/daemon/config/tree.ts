import type { KeyPath, Place } from "./problem.js";

/**
 * What a file says, whatever its format: values and where they stand. TOML, YAML and JSON become this and nothing else,
 * so the rest of the configuration code knows one language.
 *
 * Tables are Maps, so that no name of a user (`__proto__`, `constructor`) ever meets a JavaScript prototype.
 */
export type Tree = TableNode | ListNode | ScalarNode;

export interface TableNode {
  readonly kind: "table";
  readonly at: Place;
  readonly entries: Map<string, Entry>;
}

export interface ListNode {
  readonly kind: "list";
  readonly at: Place;
  readonly items: readonly Tree[];
}

export interface ScalarNode {
  readonly kind: "string" | "number" | "boolean" | "date" | "null";
  readonly at: Place;
  /** A date is kept as its text. */
  readonly value: string | number | boolean | null;
  /** A number as written: `0o660` and 432 are one value, and only one of them is meant as a file mode. */
  readonly raw: string;
}

export interface Entry {
  readonly keyAt: Place;
  readonly node: Tree;
  /** It came from `[defaults]`. */
  readonly inherited?: boolean;
}

/** A date is no value of any key; it is carried to the schema as this, so that it can be named in the message. */
export class DateText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Deeper nesting than this is refused; the schema itself needs five levels. It bounds every recursion over a tree. */
export const DEEPEST = 32;

/** The values alone. Objects have no prototype. */
export function toPlain(node: Tree): unknown {
  switch (node.kind) {
    case "table": {
      const object = Object.create(null) as Record<string, unknown>;
      for (const [key, entry] of node.entries) object[key] = toPlain(entry.node);
      return object;
    }
    case "list":
      return node.items.map(toPlain);
    case "date":
      return new DateText(node.raw);
    default:
      return node.value;
  }
}

/** Where the value at `path` stands; for what is not there, the place of the innermost key above it. */
export function placeOf(root: Tree, path: KeyPath, of: "value" | "key" = "value"): Place {
  let node = root;
  let place = root.at;
  for (const [index, step] of path.entries()) {
    const last = index === path.length - 1;
    if (node.kind === "table") {
      const entry = node.entries.get(String(step));
      if (entry === undefined) return place;
      place = last && of === "value" ? entry.node.at : entry.keyAt;
      node = entry.node;
    } else if (node.kind === "list") {
      const item = node.items[Number(step)];
      if (item === undefined) return place;
      place = item.at;
      node = item;
    } else {
      return place;
    }
  }
  return place;
}

export function entryAt(root: Tree, path: readonly string[]): Entry | undefined {
  let node: Tree = root;
  let found: Entry | undefined;
  for (const step of path) {
    found = node.kind === "table" ? node.entries.get(step) : undefined;
    if (found === undefined) return undefined;
    node = found.node;
  }
  return found;
}

/** The entries of a table, or none where something else stands. */
export function entriesOf(node: Tree | undefined): [string, Entry][] {
  return node?.kind === "table" ? [...node.entries] : [];
}

/** A copy with each string replaced; `change` is told where the string stands. */
export function mapStrings(
  node: Tree,
  change: (node: ScalarNode, path: KeyPath) => ScalarNode,
  path: KeyPath = [],
): Tree {
  switch (node.kind) {
    case "table": {
      const entries = new Map<string, Entry>();
      for (const [key, entry] of node.entries) {
        entries.set(key, { ...entry, node: mapStrings(entry.node, change, [...path, key]) });
      }
      return { ...node, entries };
    }
    case "list":
      return { ...node, items: node.items.map((item, index) => mapStrings(item, change, [...path, index])) };
    case "string":
      return change(node, path);
    default:
      return node;
  }
}
