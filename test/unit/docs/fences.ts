import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../../..");

/** One fenced block of a document. */
export interface Fence {
  /** `docs/cli.md:12`: where its first line is. */
  readonly place: string;
  /** What stands behind the opening fence, e.g. `toml`; empty for none. */
  readonly language: string;
  readonly text: string;
  /** The reason in `<!-- part: reason -->` on the line before: it is only a part of something. */
  readonly partBecause?: string;
}

/** README.md and everything below docs/. */
export const documents: readonly string[] = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`)
    .sort(),
];

export function readDocument(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

export function fencesOf(path: string, markdown: string): Fence[] {
  const fences: Fence[] = [];
  const lines = markdown.split("\n");
  for (let i = 0; i < lines.length; i += 1) {
    const opening = /^(`{3,})(\w*)$/.exec(lines[i]!);
    if (opening === null) continue;
    const end = lines.indexOf(opening[1]!, i + 1);
    if (end === -1) throw new Error(`${path}:${i + 1}: this block has no end`);
    const part = /^<!-- part: (.+) -->$/.exec(lines[i - 1] ?? "")?.[1];
    fences.push({
      place: `${path}:${i + 2}`,
      language: opening[2]!,
      text: lines.slice(i + 1, end).join("\n"),
      ...(part === undefined ? {} : { partBecause: part }),
    });
    i = end;
  }
  return fences;
}
