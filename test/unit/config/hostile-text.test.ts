// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is what is tested.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfigText, renderProblem } from "../../../src/daemon/config/index.js";
import { runs } from "../../fuzz/runs.js";
import { ANN } from "./fixture.js";

/** Bytes of the text whose cost is measured, and how many times smaller the one is that it is compared with. */
const SIZE = 64 * 1024;
const TIMES = 8;
/** What is linear costs about TIMES as much, what is quadratic TIMES * TIMES = 64. */
const HIGHEST_RATIO = 40;
/** Milliseconds of a processor; below it the two are not compared, because collecting garbage once costs as much. */
const LEAST_COST = 1;
const ATTEMPTS = 5;
/** A machine that is busy may take as long as it likes. */
const patient = { timeout: 300_000 };

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

/** Each makes a text of about so many bytes. */
const HOSTILE: Record<string, (bytes: number) => string> = {
  "one long word": (bytes) => "x".repeat(bytes),
  "printable noise": (bytes) => noise(bytes, PRINTABLE),
  "noise in lines": (bytes) => noise(bytes, `${PRINTABLE}\n\n\n`),
  brackets: (bytes) => noise(bytes, "[]{}\n=,"),
  "open lists": (bytes) => `x = ${"[".repeat(bytes)}`,
  "deep lists": (bytes) => `x = ${"[".repeat(bytes / 2)}${"]".repeat(bytes / 2)}`,
  "deep tables": (bytes) => `x = ${"{a=".repeat(bytes / 4)}1${"}".repeat(bytes / 4)}`,
  "deep JSON": (bytes) => `${'{"a":'.repeat(bytes / 6)}1${"}".repeat(bytes / 6)}`,
  "a deep header": (bytes) => `[${"a.".repeat(bytes / 2)}a]`,
  "an endless string": (bytes) => `a = "${"\\u0041".repeat(bytes / 6)}`,
  "an endless block": (bytes) => `a = """${"\n".repeat(bytes)}`,
  "many keys": (bytes) => Array.from({ length: bytes / 10 }, (_, i) => `k${i} = 1`).join("\n"),
  "many services": (bytes) =>
    Array.from({ length: bytes / 40 }, (_, i) => `[service.s${i}]\ncommand = 1\nwokers = 2`).join("\n"),
  "NUL bytes": (bytes) => "\0".repeat(bytes),
  "control characters": (bytes) => noise(bytes, "\u0001\u0007\u001b[31m\u007f"),
  "anchors on anchors": (bytes) => `a: ${"&a ".repeat(bytes / 3)}x`,
  "YAML keys on keys": (bytes) => "a: ".repeat(bytes / 3),
};

/** Milliseconds of a processor that this process spends on it; what others do on the machine is not in it. */
function costOf(text: string, file: string): number {
  const before = process.cpuUsage();
  parseConfigText(text, file, ANN);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** How many times as much a text costs as one that is TIMES smaller: the lowest of some attempts, because disturbances only add. */
function ratioOf(make: (bytes: number) => string, file: string): number {
  let [cheapest, dearest] = [0, Number.POSITIVE_INFINITY];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    cheapest = Math.max(cheapest, LEAST_COST, costOf(make(SIZE / TIMES), file));
    dearest = Math.min(dearest, costOf(make(SIZE), file));
    if (dearest / cheapest < HIGHEST_RATIO) break;
  }
  return dearest / cheapest;
}

describe("a hostile text", () => {
  for (const [name, make] of Object.entries(HOSTILE)) {
    test.each(["toml", "yaml", "json"])(`made of ${name} is refused as %s, in a few lines`, patient, (extension) => {
      const result = parseConfigText(make(SIZE), `x.${extension}`, ANN);
      if (result.ok) throw new Error("it was taken");
      expect(result.problems.length).toBeGreaterThan(0);
      expect(result.problems.length).toBeLessThanOrEqual(101);
      for (const problem of result.problems) {
        const rendered = renderProblem(problem, result.sources, { color: false });
        expect(rendered.length).toBeLessThan(1500);
        expect(rendered).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
      }
    });

    test.each(["toml", "yaml", "json"])(
      `made of ${name} costs as %s no more than in proportion to its size`,
      patient,
      (extension) => {
        expect(ratioOf(make, `x.${extension}`)).toBeLessThan(HIGHEST_RATIO);
      },
    );
  }

  test.each(["toml", "yaml", "json"])("of a megabyte is refused as %s", patient, (extension) => {
    expect(parseConfigText(noise(1024 * 1024, PRINTABLE), `x.${extension}`, ANN).ok).toBe(false);
  });
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
  test(
    "is answered with a configuration or with problems, never with an exception, and leaves no trace",
    patient,
    () => {
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
        { numRuns: runs(200) },
      );
    },
  );
});

describe("any text", () => {
  test.each(["toml", "yaml", "json"])("is answered as %s without an exception", patient, (extension) => {
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
      { numRuns: runs(200) },
    );
  });
});
