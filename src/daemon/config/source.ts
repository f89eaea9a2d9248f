import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import type { Findings, ProblemCode } from "./problem.js";
import { readToml } from "./read-toml.js";
import { readYaml } from "./read-yaml.js";
import type { TableNode } from "./tree.js";

/** A configuration of a thousand services has a tenth of this. It bounds the time that a wrong file can take. */
export const MOST_BYTES = 1024 * 1024;

export interface Source {
  /** As it is named in messages. */
  readonly file: string;
  readonly text: string;
}

/**
 * The text of one file, without a byte order mark. Undefined after a problem. What is no regular file, such as the
 * pipe of `<(…)`, is read to its end as well, within the same bound.
 */
export function readSource(file: string, findings: Findings): Source | undefined {
  const refuse = (code: ProblemCode, message: string, hint?: string) => {
    findings.add({ file, line: 1, column: 1 }, [], { code, message, ...(hint === undefined ? {} : { hint }) });
    return undefined;
  };
  let bytes: Buffer;
  try {
    bytes = readAtMost(file, MOST_BYTES + 1);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    return refuse(
      "unreadable",
      wordsOf(code),
      code === "EISDIR" ? `did you mean ${join(file, "holdfast.toml")}?` : undefined,
    );
  }
  if (bytes.length > MOST_BYTES) return refuse("too-large", "the file is larger than 1 MiB");
  try {
    return { file, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const before = bytes.toString("utf8").split("\ufffd", 1)[0] ?? "";
    const place = { file, line: before.split("\n").length, column: before.length - before.lastIndexOf("\n") };
    findings.add(place, [], { code: "syntax", message: "the text is not UTF-8 from here on" });
    return undefined;
  }
}

function wordsOf(code: string): string {
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "ENOTDIR":
      return "a part of this path is not a folder";
    case "EISDIR":
      return "this is a folder, not a file";
    case "EACCES":
      return "this file may not be read by this user";
    default:
      return `this file cannot be read (${code})`;
  }
}

function readAtMost(file: string, most: number): Buffer {
  if (file.includes("\0")) throw Object.assign(new Error("a NUL byte in a path"), { code: "ENOENT" });
  const fd = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(most);
    let length = 0;
    for (let got = -1; got !== 0 && length < most; length += got)
      got = readSync(fd, buffer, length, most - length, null);
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

/** `conf.d/*.toml` beside the main file, by name. Other files there are told of, since somebody may count on them. */
export function listConfD(mainFile: string, findings: { problems: Findings; warnings: Findings }): string[] {
  const folder = join(dirname(mainFile), "conf.d");
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => !name.startsWith("."));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    if (code !== "ENOENT" && code !== "ENOTDIR") {
      findings.problems.add({ file: folder, line: 1, column: 1 }, [], {
        code: "unreadable",
        message: `this folder cannot be read (${code})`,
      });
    }
    return [];
  }
  for (const name of names.filter((n) => /\.(ya?ml|json)$/i.test(n))) {
    const place = { file: join(folder, name), line: 1, column: 1 };
    findings.warnings.add(place, [], { code: "unused", message: "this file is not read: conf.d holds .toml files" });
  }
  return names
    .filter((name) => name.endsWith(".toml"))
    .sort()
    .map((name) => join(folder, name));
}

/** By extension; a file without one is read as TOML. Undefined after a problem. */
export function parseSource({ file, text }: Source, findings: Findings): TableNode | undefined {
  const nul = text.indexOf("\0");
  if (nul !== -1) {
    const before = text.slice(0, nul);
    const place = { file, line: before.split("\n").length, column: nul - before.lastIndexOf("\n") };
    findings.add(place, [], { code: "syntax", message: "a NUL byte stands here, so this is not a text file" });
    return undefined;
  }
  switch (extname(file).toLowerCase()) {
    case ".toml":
    case "":
      return readToml(text, file, findings);
    case ".yaml":
    case ".yml":
      return readYaml(text, file, findings, { json: false });
    case ".json":
      return readYaml(text, file, findings, { json: true });
    default: {
      const message = "a configuration is a .toml, .yaml, .yml or .json file";
      findings.add({ file, line: 1, column: 1 }, [], { code: "unreadable", message });
      return undefined;
    }
  }
}
