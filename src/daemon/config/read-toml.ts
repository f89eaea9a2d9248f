import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import type { Findings, Place } from "./problem.js";
import { DEEPEST, type Entry, type TableNode, type Tree } from "./tree.js";

/** What the parser says, in the words of somebody who writes the file. The parser stops at the first error. */
const WORDS = new Map([
  ["Unterminated string constant", "this string has no closing quote"],
  ["Unterminated table-key", "this table header has no closing bracket"],
  ["Unterminated array", "this list has no closing bracket"],
  ["Unterminated inline table", "this table has no closing brace"],
  ["Empty bare keys are not allowed", "a key is missing before the equals sign"],
  ["Must be a newline", "expected the end of the line"],
  ["Expected equal (=) token", "expected an equals sign after the key"],
  ["Unspecified values are invalid", "a value is missing here"],
  ["Expected comma (,) token", "expected a comma"],
  ["Defining a key multiple times is invalid", "this key is defined a second time"],
  ["Unexpected character", "this character cannot stand here; is the text missing its quotes?"],
  ["Unexpected token", "this cannot stand here"],
  ["Unexpected invalid date", "this date does not exist"],
  ["Unexpected invalid time", "this time does not exist"],
  [
    "Leading zeros are not allowed",
    'a number cannot start with a zero; a file mode is written in quotes, as in "0660"',
  ],
  ["Invalid character in escape sequence", "there is no such escape sequence; write \\\\ for a backslash"],
]);

/** Undefined after a syntax error, which is then in `findings`. */
export function readToml(text: string, file: string, findings: Findings): TableNode | undefined {
  try {
    return convert(parseTOML(text), file);
  } catch (error) {
    if (error instanceof ParseError) {
      const { place, message } = diagnose(error, text, file);
      findings.add(place, [], { code: "syntax", message });
      return undefined;
    }
    if (error instanceof TooDeep || error instanceof RangeError) {
      const place = error instanceof TooDeep ? error.place : { file, line: 1, column: 1 };
      findings.add(place, [], { code: "too-deep", message: `nested more than ${DEEPEST} levels deep` });
      return undefined;
    }
    throw error;
  }
}

class TooDeep extends Error {
  readonly place: Place;
  constructor(place: Place) {
    super("too deep");
    this.place = place;
  }
}

function wordsOf(message: string): string {
  return WORDS.get(message) ?? message.charAt(0).toLowerCase() + message.slice(1);
}

/** What is missing is noticed at the next token, lines below; the place to look at is the end of what stands there. */
function diagnose(error: ParseError, text: string, file: string): { place: Place; message: string } {
  const before = text.slice(0, error.index).trimEnd();
  const gap = text.slice(before.length, error.index);
  const end = { file, line: before.split("\n").length, column: before.length - before.lastIndexOf("\n") };
  if (before.endsWith("=") && (gap.includes("\n") || error.index >= text.length)) {
    return { place: end, message: "a value is missing here" };
  }
  const place = { file, line: error.lineNumber, column: error.column + 1 };
  // At the end of the text the parser already counts the line after the last one.
  if (error.message !== LINE_ENDED)
    return { place: gap.includes("\n") && error.index >= text.length ? end : place, message: wordsOf(error.message) };
  const header = /(^|\n)[ \t]*\[[^\n]*$/.test(before);
  return { place: end, message: header ? "this table header has no closing bracket" : "the line ends too early" };
}

const LINE_ENDED = "The key, equals sign, and value must be on the same line";

function convert(program: AST.TOMLProgram, file: string): TableNode {
  const place = (node: AST.TOMLNode): Place => ({
    file,
    line: node.loc.start.line,
    column: node.loc.start.column + 1, // The parser counts columns from 0.
  });
  const root: TableNode = { kind: "table", at: { file, line: 1, column: 1 }, entries: new Map() };

  const value = (node: AST.TOMLContentNode, depth: number): Tree => {
    const at = place(node);
    if (depth > DEEPEST) throw new TooDeep(at);
    switch (node.type) {
      case "TOMLArray":
        return { kind: "list", at, items: node.elements.map((element) => value(element, depth + 1)) };
      case "TOMLInlineTable": {
        const table: TableNode = { kind: "table", at, entries: new Map() };
        for (const pair of node.body) put(table, pair, depth + 1);
        return table;
      }
      case "TOMLValue":
        if (node.kind === "string") return { kind: "string", at, value: node.value, raw: node.value };
        if (node.kind === "boolean") return { kind: "boolean", at, value: node.value, raw: String(node.value) };
        if (node.kind === "integer" || node.kind === "float") {
          return { kind: "number", at, value: node.value, raw: node.number };
        }
        return { kind: "date", at, value: node.datetime, raw: node.datetime };
    }
  };

  const put = (table: TableNode, pair: AST.TOMLKeyValue, depth: number): void => {
    const { keys } = pair.key;
    const last = keys[keys.length - 1];
    if (last === undefined) return;
    const holder = descend(table, keys.slice(0, -1), depth);
    holder.entries.set(nameOf(last), { keyAt: place(last), node: value(pair.value, depth + keys.length) });
  };

  const descend = (table: TableNode, keys: readonly (AST.TOMLBare | AST.TOMLQuoted)[], depth: number): TableNode => {
    let now = table;
    for (const [index, key] of keys.entries()) {
      if (depth + index > DEEPEST) throw new TooDeep(place(key));
      now = step(now, nameOf(key), place(key));
    }
    return now;
  };

  for (const part of program.body[0].body) {
    if (part.type === "TOMLKeyValue") {
      put(root, part, 1);
      continue;
    }
    const { keys } = part.key;
    const last = keys[keys.length - 1];
    if (last === undefined) continue;
    let table: TableNode;
    if (part.kind === "array") {
      table = appendTable(descend(root, keys.slice(0, -1), 1), nameOf(last), place(last));
    } else {
      table = descend(root, keys, 1);
    }
    for (const pair of part.body) put(table, pair, keys.length + 1);
  }
  return root;
}

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

/** Into the table under `name`, made where it is missing; into the last one of an array of tables, as TOML says. */
function step(table: TableNode, name: string, at: Place): TableNode {
  const entry = table.entries.get(name);
  if (entry?.node.kind === "table") return entry.node;
  if (entry?.node.kind === "list") {
    const last = entry.node.items[entry.node.items.length - 1];
    if (last?.kind === "table") return last;
  }
  const made: TableNode = { kind: "table", at, entries: new Map() };
  table.entries.set(name, { keyAt: at, node: made });
  return made;
}

function appendTable(table: TableNode, name: string, at: Place): TableNode {
  const made: TableNode = { kind: "table", at, entries: new Map() };
  const entry: Entry | undefined = table.entries.get(name);
  if (entry?.node.kind === "list") (entry.node.items as Tree[]).push(made);
  else table.entries.set(name, { keyAt: at, node: { kind: "list", at, items: [made] } });
  return made;
}
