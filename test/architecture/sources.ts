import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

export interface Source {
  /** Relative to the package's root, e.g. `src/daemon/plan/diff.ts`. */
  readonly path: string;
  readonly text: string;
  /** `text` without comments, so that words in them do not count as code. */
  readonly code: string;
  /** Local imports as paths from the root (`.ts`), and package names. Type-only ones are marked. */
  readonly imports: readonly { readonly from: string; readonly typeOnly: boolean }[];
}

/** All TypeScript files under a folder. */
export function sourcesUnder(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readSource(join(folder, name)))
    .sort((a, b) => a.path.localeCompare(b.path));
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  return { path, text, code: withoutComments(text), imports: importsOf(path, text) };
}

function importsOf(path: string, text: string): Source["imports"] {
  const statements = [
    ...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)";$/gms),
    ...[...text.matchAll(/\bimport\("([^"]+)"\)/g)].map((match) => [match[0], undefined, match[1]] as const),
  ];
  return statements.map(([, type, from]) => ({
    typeOnly: type !== undefined,
    from: from!.startsWith(".") ? relative(root, resolve(root, dirname(path), from!)).replace(/\.js$/, ".ts") : from!,
  }));
}

/** Good enough for this tree: line comments after white space, and block comments. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}
