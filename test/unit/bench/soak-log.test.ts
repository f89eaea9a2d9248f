import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LogReader } from "../../../bench/soak/log-reader.mjs";
import { LogTally } from "../../../bench/soak/log-tally.mjs";

const line = (pid: number, number: number) =>
  `${String(pid).padStart(8, "0")} ${String(number).padStart(11, "0")} ${".".repeat(78)}\n`;
const lines = (pid: number, ...numbers: number[]) => numbers.map((number) => line(pid, number)).join("");
const note = "holdfast: 200 bytes of stdout were dropped here, while there was no supervisor to read them\n";

function tallyOf(text: string, piece = text.length) {
  const tally = new LogTally();
  for (let at = 0; at < text.length; at += piece) tally.take(Buffer.from(text.slice(at, at + piece)));
  const { lines, missing, doubled, noted, notes, fragments } = tally;
  return { lines, missing, doubled, noted, notes, fragments };
}

describe("the tally of a log", () => {
  const none = { lines: 0, missing: 0, doubled: 0, noted: 0, notes: 0, fragments: 0 };
  test.each([
    ["counts whole lines", lines(1, 0, 1, 2), { lines: 3 }],
    ["counts each worker for itself", lines(1, 0, 1) + lines(2, 0, 1), { lines: 4 }],
    ["sees what is missing", lines(1, 0, 3), { lines: 2, missing: 2 }],
    ["sees what is there twice", lines(1, 0, 1, 1, 2), { lines: 3, doubled: 1 }],
    [
      "adds what is said to be dropped",
      lines(1, 0) + note + lines(1, 3),
      { lines: 2, missing: 2, noted: 200, notes: 1 },
    ],
    ["sees pieces", `${line(1, 0)}00000001 0000\n`, { lines: 1, fragments: 1 }],
  ])("%s", (_, text, wanted) => {
    expect(tallyOf(text)).toEqual({ ...none, ...wanted });
    expect(tallyOf(text, 7)).toEqual({ ...none, ...wanted });
  });

  test("tells the largest place that is not explained by a note", () => {
    const tally = new LogTally();
    tally.take(Buffer.from(`${lines(1, 0)}${note}${lines(1, 5, 6, 8)}`));
    expect(tally.largest).toBe(2);
  });

  test("adds what a worker wrote last and what never came", () => {
    const tally = new LogTally();
    tally.take(Buffer.from(lines(1, 0, 1)));
    tally.finish(1, 5);
    tally.finish(2, 4);
    expect(tally.missing).toBe(3 + 4);
  });
});

describe("a reader of a log that is rotated", () => {
  let directory: string;
  let path: string;
  let text: string;
  const take = (bytes: Buffer) => {
    text += bytes.toString();
  };
  const rotate = (...renames: [string, string][]) => {
    for (const [from, to] of renames) renameSync(`${path}${from}`, `${path}${to}`);
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-soak-log-"));
    path = join(directory, "log");
    text = "";
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("reads each byte once, through all of its files", async () => {
    writeFileSync(path, "one ");
    const reader = new LogReader({ path, keep: 3, take });
    await expect.poll(() => text).toBe("one ");
    appendFileSync(path, "two ");
    rotate(["", ".1"]);
    writeFileSync(path, "three ");
    rotate([".1", ".2"], ["", ".1"]);
    writeFileSync(path, "four ");
    await expect.poll(() => text).toBe("one two three four ");
    appendFileSync(path, "five");
    await reader.stop();
    expect(text).toBe("one two three four five");
    expect(reader.lostTrack).toBe(false);
  });

  test("says so when a file was removed before it was read", async () => {
    writeFileSync(path, "one ");
    const reader = new LogReader({ path, keep: 1, take });
    await expect.poll(() => text).toBe("one ");
    rmSync(path);
    writeFileSync(path, "two ");
    await reader.stop();
    expect(reader.lostTrack).toBe(true);
  });
});
