import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadFixture, render } from "./fixture.js";

const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** `name.ext` with `name.ext.expected` beside it. With WRITE_EXPECTED=1 the answers are written, for a person to read. */
function filesOf(name: string): { file: string; path: string; expected: (actual: string) => string }[] {
  return readdirSync(folder(name))
    .filter((file) => !file.endsWith(".expected"))
    .map((file) => {
      const path = `${folder(name)}/${file}`;
      const expected = (actual: string) => {
        if (process.env.WRITE_EXPECTED === "1") writeFileSync(`${path}.expected`, actual);
        return readFileSync(`${path}.expected`, "utf8");
      };
      return { file, path, expected };
    });
}

describe("a wrong file", () => {
  test.each(filesOf("wrong"))("$file is refused in exactly these words", ({ path, expected }) => {
    const result = loadFixture(path);
    expect(result.ok).toBe(false);
    const actual = result.ok ? "" : render(result.problems, result);
    expect(actual).toBe(expected(actual));
  });
});

describe("a doubtful file", () => {
  test.each(filesOf("doubtful"))("$file is taken with exactly these warnings", ({ path, expected }) => {
    const result = loadFixture(path);
    expect(result.ok).toBe(true);
    const actual = render(result.warnings, result);
    expect(actual).toBe(expected(actual));
  });
});
