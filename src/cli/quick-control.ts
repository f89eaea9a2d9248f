import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** `unsure`: only the whole configuration, parsed, can tell. */
export type QuickControl = { readonly found: "path"; readonly path: string } | { readonly found: "absent" | "unsure" };

const unsure = { found: "unsure" } as const;
const mention = /\bcontrol\b/g;
const plainLine = /^[ \t]*control[ \t]*=[ \t]*"(\/[^"\\$\n]*)"[ \t]*(?:#.*)?$/;
const header = /^[ \t]*\[/;
const supervisorHeader = /^[ \t]*\[[ \t]*supervisor[ \t]*\][ \t]*(?:#.*)?$/;

/**
 * Reads `[supervisor] control` of a TOML file without parsing it, since commands are called in loops and parsing with its schema
 * takes longer than everything else that they do. It answers only what cannot be otherwise: a file that never says
 * `control` outside of comments has none; one that says it once, as a plain absolute path directly under `[supervisor]`, means that.
 * Anything else, and any other file format, is `unsure`.
 */
export function quickControl(file: string): QuickControl {
  if (!file.endsWith(".toml")) return unsure;
  let texts: string[];
  try {
    texts = [file, ...fragments(file)].map((path) => readFileSync(path, "utf8"));
  } catch {
    // The full reader says what is wrong with the file.
    return unsure;
  }
  const found = texts.flatMap(linesOfControl);
  if (found.length === 0) return { found: "absent" };
  const [only] = found;
  if (found.length > 1 || only === undefined || !only.underSupervisor) return unsure;
  // Inside a text of several lines anything may look like a table.
  if (texts.some((text) => text.includes('"""') || text.includes("'''"))) return unsure;
  const path = plainLine.exec(only.line)?.[1];
  return path === undefined ? unsure : { found: "path", path };
}

function fragments(file: string): string[] {
  const folder = join(dirname(file), "conf.d");
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".toml"))
      .map((name) => join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function linesOfControl(text: string): { readonly line: string; readonly underSupervisor: boolean }[] {
  const found: { line: string; underSupervisor: boolean }[] = [];
  let underSupervisor = false;
  for (const line of text.split(/\r?\n/)) {
    if (/^[ \t]*#/.test(line)) continue;
    if (header.test(line)) underSupervisor = supervisorHeader.test(line);
    // Escapes could spell the word in another way.
    if (/^[ \t]*"[^"]*\\/.test(line)) return [{ line, underSupervisor: false }];
    for (const _ of line.matchAll(mention)) found.push({ line, underSupervisor });
  }
  return found;
}
