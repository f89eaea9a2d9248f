// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is what is tested.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfigText, renderProblem } from "../../../src/daemon/config/index.js";
import { ANN } from "./fixture.js";

const MIB = 1024 * 1024;

/** A text of `bytes` characters that repeats with a period nobody relies on. */
function noise(bytes: number, alphabet: string): string {
  let state = 12345;
  let text = "";
  while (text.length < bytes) {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    text += alphabet[state % alphabet.length];
  }
  return text;
}

const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");

const HOSTILE: Record<string, string> = {
  "one long word": "x".repeat(MIB),
  "printable noise": noise(MIB, PRINTABLE),
  "noise in lines": noise(MIB, `${PRINTABLE}\n\n\n`),
  brackets: noise(MIB, "[]{}\n=,"),
  "open lists": `x = ${"[".repeat(100_000)}`,
  "deep lists": `x = ${"[".repeat(20_000)}${"]".repeat(20_000)}`,
  "deep tables": `x = ${"{a=".repeat(20_000)}1${"}".repeat(20_000)}`,
  "deep JSON": `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
  "a deep header": `[${"a.".repeat(100_000)}a]`,
  "an endless string": `a = "${"\\u0041".repeat(100_000)}`,
  "an endless block": `a = """${"\n".repeat(500_000)}`,
  "many keys": Array.from({ length: 40_000 }, (_, i) => `k${i} = 1`).join("\n"),
  "many services": Array.from({ length: 3000 }, (_, i) => `[service.s${i}]\ncommand = 1\nwokers = 2`).join("\n"),
  "NUL bytes": "\0".repeat(MIB),
  "control characters": noise(MIB, "\u0001\u0007\u001b[31m\u007f"),
  "anchors on anchors": `a: ${"&a ".repeat(50_000)}x`,
  "YAML keys on keys": "a: ".repeat(50_000),
};

describe("a hostile text", () => {
  for (const [name, text] of Object.entries(HOSTILE)) {
    test.each(["toml", "yaml", "json"])(`made of ${name} is refused as %s, soon and in a few lines`, (extension) => {
      const began = performance.now();
      const result = parseConfigText(text, `x.${extension}`, ANN);
      if (result.ok) throw new Error("it was taken");
      expect(result.problems.length).toBeGreaterThan(0);
      expect(result.problems.length).toBeLessThanOrEqual(101);
      for (const problem of result.problems) {
        const rendered = renderProblem(problem, result.sources, { color: false });
        expect(rendered.length).toBeLessThan(1500);
        expect(rendered).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
      }
      expect(performance.now() - began).toBeLessThan(8000);
    });
  }
});

/** Parts of a plausible file, wrong values among them. */
const KEYS = [
  "version",
  "service",
  "socket",
  "defaults",
  "supervisor",
  "web",
  "command",
  "listen",
  "sockets",
  "restart",
  "ready",
  "when",
  "env",
  "log",
  "to",
  "limits",
  "__proto__",
  "constructor",
  "toString",
  "mode",
  "user",
];

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<unknown>(
      1,
      0,
      -1,
      2.5,
      1e300,
      true,
      false,
      null,
      "",
      "web",
      "${X}",
      "$$",
      "${",
      "1s",
      "tcp://127.0.0.1:80",
      "always",
      "\u0000",
    ),
    fc.string(),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...KEYS), fc.string()), tie("value"), { maxKeys: 5 }),
  ),
})).value;

describe("any JSON value", () => {
  test("is answered with a configuration or with problems, never with an exception, and leaves no trace", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 6 }), (root) => {
        const result = parseConfigText(JSON.stringify({ version: 1, ...root }), "x.json", ANN);
        if (!result.ok) {
          expect(result.problems.length).toBeGreaterThan(0);
          for (const problem of result.problems) {
            expect(problem.line).toBeGreaterThanOrEqual(1);
            expect(problem.column).toBeGreaterThanOrEqual(1);
            renderProblem(problem, result.sources, { color: true });
          }
        } else {
          expect(JSON.parse(JSON.stringify(result.config))).toEqual(result.config);
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("any text", () => {
  test.each(["toml", "yaml", "json"])("is answered as %s without an exception", (extension) => {
    const line = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom(
        "version = 1",
        "[service.a]",
        "[[service]]",
        'command = "x"',
        "a.b.c = 1",
        "service:",
        "  web: &a",
        "  - *a",
        "<<: *a",
        "{",
        '"a": 1,',
        "}",
        "---",
        "\ufeff",
        "\r",
        "? x",
        "!t x",
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const result = parseConfigText(lines.join("\n"), `x.${extension}`, ANN);
        if (!result.ok) for (const p of result.problems) renderProblem(p, result.sources, { color: false });
      }),
      { numRuns: 1000 },
    );
  });
});
