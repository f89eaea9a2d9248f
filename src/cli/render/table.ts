import type { Output } from "../command.js";
import { type Colour, coloured } from "./colour.js";
import { cut, printable } from "./text.js";

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly colour?: (row: Row) => Colour;
  /** Numbers stand at the right. */
  readonly right?: boolean;
  /** On a terminal that is too narrow, the last column that may shrink is cut first. */
  readonly mayShrink?: boolean;
}

/** Spaces between columns. */
const gap = "  ";
const narrowest = 8;

/**
 * Aligned columns with a line of titles. On a terminal the lines fit its width as far as columns may shrink;
 * in a pipe nothing is cut, and an empty cell is `-`, so that the n-th word of a line is always the same column.
 */
export function renderTable<Row>(output: Output, columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => printable(column.value(row)) || "-"));
  const widths = columns.map((column, i) => Math.max(column.title.length, ...cells.map((line) => line[i]!.length)));
  shrink(columns, widths, output.columns);
  const line = (texts: readonly string[], paint: (text: string, column: number) => string) =>
    columns
      .map((column, i) => {
        const text = cut(texts[i]!, widths[i]!);
        const padding = " ".repeat(widths[i]! - text.length);
        if (column.right === true) return padding + paint(text, i);
        return i === columns.length - 1 ? paint(text, i) : paint(text, i) + padding;
      })
      .join(gap)
      .trimEnd();
  const head = line(
    columns.map(({ title }) => title),
    (text) => coloured(output, "bold", text),
  );
  const body = cells.map((texts, r) =>
    line(texts, (text, i) => coloured(output, columns[i]!.colour?.(rows[r]!) ?? "plain", text)),
  );
  return `${[head, ...body].join("\n")}\n`;
}

function shrink<Row>(columns: readonly Column<Row>[], widths: number[], available: number): void {
  let excess = widths.reduce((sum, width) => sum + width, gap.length * (columns.length - 1)) - available;
  for (let i = columns.length - 1; i >= 0 && excess > 0; i -= 1) {
    if (columns[i]!.mayShrink !== true) continue;
    const width = Math.max(narrowest, widths[i]! - excess);
    if (width >= widths[i]!) continue;
    excess -= widths[i]! - width;
    widths[i] = width;
  }
}
