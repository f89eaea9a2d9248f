import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { Findings, Place } from "./problem.js";
import { quote } from "./problem.js";
import { DEEPEST, type Entry, type TableNode, type Tree } from "./tree.js";

/** An alias repeats what its anchor holds; this many nodes in all bound what a file can unfold to. */
const MOST_NODES = 200_000;

/** A problem that ends the reading of this file. */
class Refused extends Error {
  readonly code: "syntax" | "too-deep";
  readonly place: Place;
  constructor(code: "syntax" | "too-deep", place: Place, message: string) {
    super(message);
    this.code = code;
    this.place = place;
  }
}

/**
 * YAML 1.2 and JSON. Anchors, aliases and `<<` work; tags do not. Undefined after a problem, which is then in `findings`.
 *
 * JSON is checked by JSON.parse first, because YAML accepts more, and then read as YAML, because JSON.parse keeps no places.
 */
export function readYaml(text: string, file: string, findings: Findings, o: { json: boolean }): TableNode | undefined {
  const lines = new LineCounter();
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(Math.min(Math.max(offset, 0), text.length));
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (o.json && !readsAsJson(text, file, findings)) return undefined;
  // The library's own search for equal keys takes quadratic time: `convert` does it.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: "error", // "silent" would also drop the error about a second document.
  });
  const faults = [...document.errors, ...document.warnings];
  const deep = faults.find((fault) => fault.code === "RESOURCE_EXHAUSTION");
  if (deep !== undefined) {
    findings.add(at(deep.pos[0]), [], { code: "too-deep", message: `nested more than ${DEEPEST} levels deep` });
    return undefined;
  }
  // What follows the first fault of a YAML file is mostly an echo of it.
  const fault = faults.toSorted((a, b) => a.pos[0] - b.pos[0])[0];
  if (fault !== undefined) {
    const message =
      fault.code === "MULTIPLE_DOCS" ? "a configuration is one document, this file holds more" : fault.message;
    findings.add(at(fault.pos[0]), [], { code: "syntax", message: message.charAt(0).toLowerCase() + message.slice(1) });
    return undefined;
  }
  if (document.contents === null) return { kind: "table", at: { file, line: 1, column: 1 }, entries: new Map() };
  try {
    const tree = new Conversion(document, at).convert(document.contents, 0);
    if (tree.kind === "table") return { ...tree, at: { file, line: 1, column: 1 } };
    throw new Refused("syntax", tree.at, "a configuration is a table of keys and values");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    findings.add(error.place, [], { code: error.code, message: error.message });
    return undefined;
  }
}

function readsAsJson(text: string, file: string, findings: Findings): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof RangeError) {
      findings.add({ file, line: 1, column: 1 }, [], {
        code: "too-deep",
        message: `nested more than ${DEEPEST} levels deep`,
      });
      return false;
    }
    const words = error instanceof Error ? error.message : String(error);
    const position = /at position (\d+)/.exec(words)?.[1];
    const before = text.slice(0, position === undefined ? text.trimEnd().length : Number(position));
    const line = before.split("\n").length;
    const column = before.length - before.lastIndexOf("\n");
    const what = /^(Unexpected end|Unterminated|Expected [^(]*?(?= in JSON)|Bad [a-z ]*?(?= in JSON))/.exec(words)?.[0];
    const message =
      what === undefined ? "this is not JSON" : `this is not JSON: ${what.charAt(0).toLowerCase()}${what.slice(1)}`;
    findings.add({ file, line, column }, [], { code: "syntax", message });
    return false;
  }
}

class Conversion {
  readonly #document: ReturnType<typeof parseDocument>;
  readonly #at: (offset: number) => Place;
  #nodes = 0;

  constructor(document: ReturnType<typeof parseDocument>, at: (offset: number) => Place) {
    this.#document = document;
    this.#at = at;
  }

  convert(node: unknown, depth: number, fallback?: Place): Tree {
    const at = this.#placeOf(node) ?? fallback ?? this.#at(0);
    if (depth > DEEPEST) throw new Refused("too-deep", at, `nested more than ${DEEPEST} levels deep`);
    if (++this.#nodes > MOST_NODES)
      throw new Refused("too-deep", at, `aliases unfold to more than ${MOST_NODES} values`);
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined) throw new Refused("syntax", at, `no anchor ${quote(node.source)} stands above`);
      // A node inside its own anchor would go on for ever; the depth ends it.
      return this.convert(target, depth + 1, at);
    }
    if (isMap(node)) return this.#table(node.items, at, depth);
    if (isSeq(node)) return { kind: "list", at, items: node.items.map((item) => this.convert(item, depth + 1, at)) };
    return scalar(isScalar(node) ? node.value : null, isScalar(node) ? node.source : undefined, at);
  }

  #table(items: readonly { key: unknown; value: unknown }[], at: Place, depth: number): TableNode {
    const entries = new Map<string, Entry>();
    const merged: unknown[] = [];
    for (const { key, value } of items) {
      const keyAt = this.#placeOf(key) ?? at;
      if (!isScalar(key) || isAlias(key)) throw new Refused("syntax", keyAt, "a key is a plain text");
      const name = typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
      if (name === "<<") {
        merged.push(value);
        continue;
      }
      const first = entries.get(name);
      if (first !== undefined) {
        throw new Refused(
          "syntax",
          keyAt,
          `the key ${quote(name)} is defined a second time; the first is in line ${first.keyAt.line}`,
        );
      }
      entries.set(name, { keyAt, node: this.convert(value, depth + 1, keyAt) });
    }
    for (const value of merged) this.#merge(entries, this.convert(value, depth + 1, at));
    return { kind: "table", at, entries };
  }

  /** `<<`: what the table has itself stays; of several merged tables the first wins. */
  #merge(entries: Map<string, Entry>, from: Tree): void {
    for (const table of from.kind === "list" ? from.items : [from]) {
      if (table.kind !== "table") throw new Refused("syntax", table.at, "<< takes a table, or a list of tables");
      for (const [key, entry] of table.entries) if (!entries.has(key)) entries.set(key, entry);
    }
  }

  #placeOf(node: unknown): Place | undefined {
    const range = (node as Node | null | undefined)?.range;
    return range ? this.#at(range[0]) : undefined;
  }
}

function scalar(value: unknown, source: string | undefined, at: Place): Tree {
  if (typeof value === "string") return { kind: "string", at, value, raw: value };
  if (typeof value === "number") return { kind: "number", at, value, raw: source ?? String(value) };
  if (typeof value === "boolean") return { kind: "boolean", at, value, raw: String(value) };
  return { kind: "null", at, value: null, raw: source ?? "null" };
}
