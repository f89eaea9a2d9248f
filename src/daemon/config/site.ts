import type { Findings, KeyPath, Wrong } from "./problem.js";
import { entryAt, placeOf, type TableNode } from "./tree.js";

/** One table of the configuration as a check sees it: what was written there, and where to report. */
export class Site {
  readonly node: TableNode;
  readonly path: KeyPath;
  readonly #problems: Findings;
  readonly #warnings: Findings;

  constructor(node: TableNode, path: KeyPath, findings: { problems: Findings; warnings: Findings }) {
    this.node = node;
    this.path = path;
    this.#problems = findings.problems;
    this.#warnings = findings.warnings;
  }

  has(...keys: readonly string[]): boolean {
    return entryAt(this.node, keys) !== undefined;
  }

  /** Whether the key came from `[defaults]`, itself or with the table that holds it. */
  inherits(...keys: readonly string[]): boolean {
    return keys.some((_, index) => entryAt(this.node, keys.slice(0, index + 1))?.inherited === true);
  }

  refuse(below: KeyPath, found: { readonly wrong: Wrong }): void {
    this.#problems.add(placeOf(this.node, below), this.#pathTo(below), found.wrong);
  }

  warn(below: KeyPath, found: { readonly wrong: Wrong }): void {
    this.#warnings.add(placeOf(this.node, below), this.#pathTo(below), found.wrong);
  }

  /** `file:line:column` of a value, for a message about another one. */
  whereIs(below: KeyPath): string {
    const { file, line, column } = placeOf(this.node, below);
    return `${file}:${line}:${column}`;
  }

  #pathTo(below: KeyPath): KeyPath {
    const names = below.filter((step) => typeof step === "string");
    return [...(this.inherits(...names) ? ["defaults"] : this.path), ...below];
  }
}
