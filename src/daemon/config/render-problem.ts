import type { ConfigProblem } from "./problem.js";

/** Columns of source text that are shown; of a longer line, a window around the place. */
const WIDEST = 120;

/**
 * A problem as a person reads it:
 *
 *     holdfast.toml:12:1: service.web.wokers: unknown key
 *       12 | wokers = 4
 *          | ^
 *          = did you mean "workers"?
 *
 * `sources` comes with the result of loading; without the text of the file the first line and the hint remain. No
 * control character of a file reaches the terminal.
 */
export function renderProblem(
  problem: ConfigProblem,
  sources: ReadonlyMap<string, string>,
  o: { color: boolean },
): string {
  const paint = (code: string, text: string) => (o.color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const { file, line, column, path, message, hint } = problem;
  const place = paint("1", `${visible(file)}:${line}:${column}:`);
  const lines = [`${place} ${path === "" ? "" : `${visible(path)}: `}${paint("31", visible(message))}`];
  const source = sources.get(file)?.split("\n", line)[line - 1];
  const margin = " ".repeat(String(line).length + 2);
  if (source !== undefined && source.trim() !== "") {
    const { text, caret } = window(source.replace(/\r$/, ""), column - 1);
    lines.push(`${paint("2", `  ${line} |`)} ${text}`.trimEnd());
    lines.push(`${paint("2", `${margin} |`)} ${" ".repeat(caret)}${paint("31", "^")}`);
  }
  if (hint !== undefined) lines.push(`${paint("2", `${margin} =`)} ${paint("36", visible(hint))}`);
  return lines.join("\n");
}

function window(source: string, offset: number): { text: string; caret: number } {
  const from = source.length <= WIDEST ? 0 : Math.max(0, Math.min(offset - WIDEST / 2, source.length - WIDEST));
  const before = from > 0 ? "…" : "";
  const after = from + WIDEST < source.length ? "…" : "";
  const text = before + visible(source.slice(from, from + WIDEST)) + after;
  // A terminal shows one cell for a pair of surrogates, more or less.
  return { text, caret: before.length + [...source.slice(from, offset)].length };
}

/** One character for one: a tab is a blank, any other control or direction mark is shown as a substitute. */
function visible(text: string): string {
  return text
    .replace(/\t/g, " ")
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}
