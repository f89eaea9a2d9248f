import type { CommandContext } from "../command.js";

/** `json`: one indented document; `jsonl`: each element on a line of its own. */
export function renderJson(format: "json" | "jsonl", document: unknown, lines: readonly unknown[]): string {
  if (format === "json") return `${JSON.stringify(document, undefined, 2)}\n`;
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/**
 * What a command answers about services: in JSON the one object where one plain name was asked for, a list otherwise.
 * Returns false, having written nothing, where a table is wanted.
 */
export function wroteJson(context: CommandContext, items: readonly unknown[], single: boolean): boolean {
  const { output } = context.options;
  if (output === "table") return false;
  const document = single && items.length === 1 ? items[0] : items;
  context.out.write(renderJson(output, document, items));
  return true;
}
