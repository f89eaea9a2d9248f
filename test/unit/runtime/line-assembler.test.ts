import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineAssembler, MAX_LINE_BYTES } from "../../../src/daemon/runtime/logs/line-assembler.js";
import { LogBlock } from "../../../src/daemon/runtime/logs/log-block.js";

const origin = { service: "web", instance: "web/1", worker: 7, stream: "stdout" } as const;

function assemble(chunks: readonly Buffer[]): Buffer[] {
  const assembler = new LineAssembler();
  const out = chunks.flatMap((chunk) => assembler.push(chunk));
  const rest = assembler.end();
  return rest === undefined ? out : [...out, rest];
}

function texts(blocks: readonly Buffer[]): string[] {
  return blocks.flatMap((bytes) => new LogBlock(origin, "now", bytes).lines().map((line) => line.text));
}

describe("a line assembler", () => {
  test("gives whole lines, whatever the borders of the chunks", () => {
    expect(
      texts(assemble([Buffer.from("on"), Buffer.from("e\ntw"), Buffer.from("o\n\nthr"), Buffer.from("ee")])),
    ).toEqual(["one", "two", "", "three"]);
  });

  test("keeps an unfinished line to itself until its end comes", () => {
    const assembler = new LineAssembler();
    expect(assembler.push(Buffer.from("half"))).toEqual([]);
    expect(assembler.pendingBytes).toBe(4);
    expect(assembler.push(Buffer.from(" line\n")).map(String)).toEqual(["half line\n"]);
    expect(assembler.end()).toBeUndefined();
  });

  test("cuts a line that is too long, between characters", () => {
    const line = `a${"é".repeat(100_000)}`;
    const pieces = texts(assemble([Buffer.from(`${line}\nnext\n`)]));
    expect(pieces.at(-1)).toBe("next");
    expect(pieces.slice(0, -1).join("")).toBe(line);
    for (const piece of pieces) expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(MAX_LINE_BYTES);
  });

  test("does not cut a line of exactly the limit", () => {
    const line = "x".repeat(MAX_LINE_BYTES);
    expect(texts(assemble([Buffer.from(line), Buffer.from("\nnext\n")]))).toEqual([line, "next"]);
  });

  test("holds no more than one line of the limit, however long it goes on", () => {
    const assembler = new LineAssembler();
    for (let n = 0; n < 100; n++) {
      assembler.push(Buffer.alloc(10_000, 0xff));
      expect(assembler.pendingBytes).toBeLessThanOrEqual(MAX_LINE_BYTES);
    }
  });

  test("gives back the bytes that went in, in any pieces, as lines within the limit", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
      fc.string({ unit: "grapheme", maxLength: 100 }).map((text) => Buffer.from(`${text}\n`)),
      fc.nat({ max: 150_000 }).map((length) => Buffer.alloc(length, "ä")),
    );
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 12 }), (chunks) => {
        const out = assemble(chunks);
        expect(Buffer.concat(out).equals(Buffer.concat(chunks))).toBe(true);
        for (const block of out) {
          const log = new LogBlock(origin, "now", block);
          const lines = log.lines();
          expect(log.lineCount).toBe(lines.length);
          expect(lines.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("does not keep the caller's memory", () => {
    const assembler = new LineAssembler();
    const chunk = Buffer.from("first\nsec");
    const [block] = assembler.push(chunk);
    chunk.fill(0x21);
    expect(String(block)).toBe("first\n");
    expect(assembler.push(Buffer.from("ond\n")).map(String)).toEqual(["second\n"]);
  });
});

describe("a block of lines", () => {
  test("replaces what is not UTF-8 in the text, not in the bytes", () => {
    const bytes = Buffer.from([0x61, 0xff, 0x62, 0x0a]);
    const block = new LogBlock(origin, "now", bytes);
    expect(block.lines()).toEqual([{ at: "now", ...origin, text: "a�b" }]);
    expect(block.bytes).toEqual(bytes);
  });

  test("gives its newest lines that fit", () => {
    const block = new LogBlock(origin, "now", Buffer.from("one\ntwo\nthree\n"));
    expect(String(block.newest(10).bytes)).toBe("two\nthree\n");
    expect(String(block.newest(9).bytes)).toBe("three\n");
    expect(String(block.newest(3).bytes)).toBe("ee\n");
    expect(block.newest(100)).toBe(block);
  });
});
