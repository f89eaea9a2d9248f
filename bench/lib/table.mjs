/** Prints rows below their headings, as a Markdown table whose columns line up. */
export function printTable(headings, rows) {
  const texts = [headings, ...rows].map((row) => row.map(String));
  const widths = headings.map((_, column) => Math.max(3, ...texts.map((row) => (row[column] ?? "").length)));
  const line = (row) => `| ${widths.map((width, column) => (row[column] ?? "").padEnd(width)).join(" | ")} |\n`;
  const [head, ...body] = texts;
  process.stdout.write(
    `${line(head)}|${widths.map((width) => "-".repeat(width + 2)).join("|")}|\n${body.map(line).join("")}`,
  );
}
