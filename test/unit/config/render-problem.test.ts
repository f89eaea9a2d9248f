import { describe, expect, test } from "vitest";
import { type ConfigProblem, renderProblem } from "../../../src/daemon/config/index.js";

const problem: ConfigProblem = {
  code: "unknown-key",
  file: "a.toml",
  line: 2,
  column: 3,
  path: "x",
  message: "unknown key",
  hint: "no",
};

describe("a rendered problem", () => {
  test("shows the line with a caret below the place, and the hint", () => {
    const sources = new Map([["a.toml", "first\n  second\nthird"]]);
    expect(renderProblem(problem, sources, { color: false })).toBe(
      "a.toml:2:3: x: unknown key\n  2 |   second\n    |   ^\n    = no",
    );
  });

  test("does without the text of the file", () => {
    expect(renderProblem(problem, new Map(), { color: false })).toBe("a.toml:2:3: x: unknown key\n    = no");
  });

  test("has the same text in colour", () => {
    const sources = new Map([["a.toml", "first\n  second"]]);
    const coloured = renderProblem(problem, sources, { color: true });
    expect(coloured).toContain("\u001b[");
    expect(coloured.replace(/\u001b\[\d+m/g, "")).toBe(renderProblem(problem, sources, { color: false }));
  });

  test("lets no control character of a file or of a name through", () => {
    const nasty = { ...problem, file: "a\u001b[2J.toml", message: "m\u009b", hint: "h\u0007" };
    const sources = new Map([[nasty.file, "\n\u001b[31mred\u202e\u0000"]]);
    expect(renderProblem(nasty, sources, { color: false })).not.toMatch(
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/,
    );
  });
});
