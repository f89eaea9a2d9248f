import { didYouMean } from "../daemon/config/nearest.js";

/** A pattern that named nothing. */
export interface MissingName {
  readonly pattern: string;
  /** One sentence. */
  readonly message: string;
}

const globCharacters = /[*?[]/;

export function isGlob(pattern: string): boolean {
  return globCharacters.test(pattern);
}

/**
 * Finds what patterns name: `*` any text, `?` one character, `[ab]` one of them; anything else is itself.
 * The result has the order of the patterns and names nothing twice.
 */
export function matchNames<T extends { readonly name: string }>(
  patterns: readonly string[],
  candidates: readonly T[],
): { readonly found: readonly T[]; readonly missing: readonly MissingName[] } {
  const found = new Set<T>();
  const missing: MissingName[] = [];
  for (const pattern of patterns) {
    const matcher = globMatcher(pattern);
    const matches = candidates.filter(({ name }) => matcher(name));
    for (const match of matches) found.add(match);
    if (matches.length > 0) continue;
    missing.push({ pattern, message: missingSentence(pattern, candidates) });
  }
  return { found: [...found], missing };
}

function missingSentence(pattern: string, candidates: readonly { readonly name: string }[]): string {
  if (isGlob(pattern)) return `no service matches "${pattern}"`;
  const hint = didYouMean(
    pattern,
    candidates.map(({ name }) => name),
  );
  return `there is no service "${pattern}"${hint === undefined ? "" : `; ${hint}`}`;
}

function globMatcher(pattern: string): (name: string) => boolean {
  if (!isGlob(pattern)) return (name) => name === pattern;
  const source = pattern.replaceAll(/\*+/g, "*").replaceAll(/\[[^\]]*\]|[*?]|[^*?[]+|\[/g, (part) => {
    if (part === "*") return ".*";
    if (part === "?") return ".";
    const set = /^\[(!?)([^\]]+)\]$/.exec(part);
    if (set !== null) return `[${set[1] === "!" ? "^" : ""}${set[2]?.replaceAll(/[\\^]/g, "\\$&")}]`;
    return part.replaceAll(/[.+^${}()|[\]\\*?]/g, "\\$&");
  });
  const expression = new RegExp(`^${source}$`, "s");
  return (name) => expression.test(name);
}
