import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isGlob, matchNames } from "../../../src/cli/names.js";

const services = ["web-1", "web-2", "api", "db.main"].map((name) => ({ name }));
const match = (...patterns: string[]) => {
  const { found, missing } = matchNames(patterns, services);
  return { found: found.map(({ name }) => name), missing: missing.map(({ message }) => message) };
};

describe("a pattern for names", () => {
  test.each([
    ["*", ["web-1", "web-2", "api", "db.main"]],
    ["web-*", ["web-1", "web-2"]],
    ["web-?", ["web-1", "web-2"]],
    ["web-[2-9]", ["web-2"]],
    ["web-[!2]", ["web-1"]],
    ["*.m*", ["db.main"]],
    ["api", ["api"]],
  ])("%s names %j", (pattern, found) => expect(match(pattern)).toEqual({ found, missing: [] }));

  test("does not take a dot for any character", () => {
    expect(match("dbxma*").found).toEqual([]);
  });

  test("keeps the order of the patterns and names nothing twice", () => {
    expect(match("api", "web-*", "*").found).toEqual(["api", "web-1", "web-2", "db.main"]);
  });

  test("that names nothing says so, and what was probably meant", () => {
    expect(match("job-*", "apu", "zzzzz").missing).toEqual([
      'no service matches "job-*"',
      'there is no service "apu"; did you mean "api"?',
      'there is no service "zzzzz"',
    ]);
  });

  test("never throws, and without glob characters means itself alone", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (pattern, name) => {
        const { found } = matchNames([pattern], [{ name }]);
        if (!isGlob(pattern)) expect(found.length === 1).toBe(pattern === name);
      }),
    );
  });
});
