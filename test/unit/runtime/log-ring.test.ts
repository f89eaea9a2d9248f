import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { LogLine } from "../../../src/daemon/control/api.js";
import { LogBlock } from "../../../src/daemon/runtime/logs/log-block.js";
import { LogRing } from "../../../src/daemon/runtime/logs/log-ring.js";

const origin = { service: "web", instance: "web/1", worker: 1, stream: "stdout" } as const;

function block(...lines: readonly string[]): LogBlock {
  return new LogBlock(origin, "now", Buffer.from(lines.map((line) => `${line}\n`).join("")));
}

function texts(lines: readonly LogLine[]): string[] {
  return lines.map((line) => line.text);
}

describe("a log ring", () => {
  test("gives the last lines in order, of blocks and of single lines", () => {
    const ring = new LogRing({ maxLines: 10, maxBytes: 1000 });
    ring.appendBlock(block("a", "b"));
    ring.append({ at: "now", ...origin, text: "c" });
    ring.appendBlock(block("d", "e"));
    expect(texts(ring.last(4))).toEqual(["b", "c", "d", "e"]);
    expect(texts(ring.last(100))).toEqual(["a", "b", "c", "d", "e"]);
    expect(ring.last(0)).toEqual([]);
    expect(ring.dropped).toBe(0);
  });

  test("is bounded in lines, and counts those that fell out", () => {
    const ring = new LogRing({ maxLines: 3, maxBytes: 1000 });
    for (const text of ["a", "b", "c", "d", "e"]) ring.appendBlock(block(text));
    expect(texts(ring.last(10))).toEqual(["c", "d", "e"]);
    expect(ring.dropped).toBe(2);
    ring.appendBlock(block(..."fghijkl"));
    expect(texts(ring.last(10))).toEqual(["j", "k", "l"]);
    expect(ring.dropped).toBe(9);
  });

  test("is bounded in bytes, also by one block that is larger", () => {
    const ring = new LogRing({ maxLines: 100, maxBytes: 20 });
    for (const text of ["first", "second", "third", "fourth"]) ring.appendBlock(block(text));
    expect(texts(ring.last(10))).toEqual(["second", "third", "fourth"]);
    ring.appendBlock(block("0123456789", "abcdef", "ghijkl"));
    expect(texts(ring.last(10))).toEqual(["abcdef", "ghijkl"]);
    expect(ring.dropped).toBe(5);
  });
});

describe("a follower of a log ring", () => {
  test("gets each new line once, in order, and none after it stopped", async () => {
    const ring = new LogRing({ maxLines: 2, maxBytes: 1000 });
    ring.appendBlock(block("before"));
    const seen: string[] = [];
    const stop = ring.follow((line) => seen.push(line.text));
    ring.appendBlock(block("a", "b", "c"));
    ring.appendBlock(block("d"));
    expect(seen).toEqual([]);
    await turn();
    expect(seen).toEqual(["a", "b", "c", "d"]);
    ring.appendBlock(block("e"));
    stop();
    await turn();
    expect(seen).toEqual(["a", "b", "c", "d"]);
  });

  test("is told how many lines it lost, where they are missing", async () => {
    const ring = new LogRing({ maxLines: 10, maxBytes: 1000 });
    const seen: (string | number)[] = [];
    const stop = ring.follow(
      (line) => seen.push(line.text[0]!),
      (count) => seen.push(count),
    );
    const large = block("x".repeat(1024 * 1024 - 1));
    for (let n = 0; n < 6; n++) ring.appendBlock(large);
    await turn();
    ring.appendBlock(block("y"));
    await turn();
    stop();
    expect(seen).toEqual(["x", "x", "x", "x", 2, "y"]);
  });
});
