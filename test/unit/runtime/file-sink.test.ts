import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileSink } from "../../../src/daemon/runtime/logs/file-sink.js";
import { LogBlock } from "../../../src/daemon/runtime/logs/log-block.js";
import type { LogProblem } from "../../../src/daemon/runtime/logs/log-sink.js";
import { LogSinks } from "../../../src/daemon/runtime/logs/log-sinks.js";
import { openOutputStream } from "../../../src/daemon/runtime/logs/output-stream.js";
import { SupervisorOutput } from "../../../src/daemon/runtime/logs/supervisor-output.js";
import { descriptorCensus } from "./fixtures/census.js";

let folder: string;
let path: string;
let problems: LogProblem[];
let noDescriptorIsLeft: () => void;
let told: (() => void) | undefined;

beforeEach(() => {
  noDescriptorIsLeft = descriptorCensus();
  folder = mkdtempSync(join(tmpdir(), "holdfast-log-"));
  path = join(folder, "web.log");
  problems = [];
});

afterEach(() => {
  rmSync(folder, { recursive: true });
  noDescriptorIsLeft();
});

function onProblem(problem: LogProblem): void {
  problems.push(problem);
  told?.();
}

async function problem(code: LogProblem["code"]): Promise<void> {
  while (!problems.some((known) => known.code === code)) {
    await new Promise<void>((resolve) => {
      told = resolve;
    });
  }
}

function block(text: string, worker = 1): LogBlock {
  return new LogBlock({ service: "web", instance: "web/1", worker, stream: "stdout" }, "now", Buffer.from(text));
}

function drained(sink: FileSink): Promise<void> {
  return new Promise((resolve) => sink.onDrain(resolve));
}

const text = () => readFileSync(path, "utf8");

describe("a file sink", () => {
  test("appends bytes as they are and makes missing folders", async () => {
    path = join(folder, "a/b/web.log");
    const sink = new FileSink({ path, onProblem });
    const bytes = Buffer.from([0, 0xff, 0x0a, 0x80]);
    sink.write(new LogBlock({ service: "web", instance: "web/1", worker: 1, stream: "stdout" }, "now", bytes));
    await sink.close();
    expect(readFileSync(path)).toEqual(bytes);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(problems).toEqual([]);
  });

  test.each([
    ["removed", () => rmSync(path)],
    ["renamed", () => renameSync(path, `${path}.old`)],
  ])("makes a file anew that somebody %s", async (_, displace) => {
    const sink = new FileSink({ path, onProblem, lookMs: 0 });
    sink.write(block("before\n"));
    await sink.flushed();
    displace();
    sink.write(block("after\n"));
    await sink.close();
    expect(text()).toBe("after\n");
    expect(problems).toEqual([]);
  });

  test("tells of a folder that can have none, and ends", async () => {
    path = "/proc/holdfast/web.log";
    const sink = new FileSink({ path, onProblem });
    sink.write(block("lost\n"));
    await problem("log-file-failed");
    await sink.close();
    expect(sink.dropped).toBe(1);
  });

  test("appends to what is there", async () => {
    writeFileSync(path, "old\n");
    const sink = new FileSink({ path, onProblem });
    sink.write(block("new\n"));
    await sink.close();
    expect(text()).toBe("old\nnew\n");
  });

  test("says that it is full, takes the block all the same, and calls back when there is room", async () => {
    const sink = new FileSink({ path, onProblem, maxQueueBytes: 10 });
    expect(sink.write(block("123\n"))).toBe(true);
    expect(sink.write(block("4567890\n"))).toBe(false);
    await drained(sink);
    expect(sink.write(block("ok\n"))).toBe(true);
    await sink.close();
    expect(text()).toBe("123\n4567890\nok\n");
    expect(sink.dropped).toBe(0);
  });

  test("does not glue the unfinished line of one worker to another's", async () => {
    const sink = new FileSink({ path, onProblem });
    sink.write(block("piece one, ", 1));
    sink.write(block("piece two", 1));
    sink.write(block("other\n", 2));
    sink.write(block("again\n", 1));
    await sink.close();
    expect(text()).toBe("piece one, piece two\nother\nagain\n");
  });

  test("writes to a link's target", async () => {
    symlinkSync(join(folder, "target"), path);
    const sink = new FileSink({ path, onProblem });
    sink.write(block("line\n"));
    await sink.close();
    expect(readFileSync(join(folder, "target"), "utf8")).toBe("line\n");
  });
});

describe("a file sink that is asked when all is written", () => {
  test("waits for what it has taken, and not for what comes after", async () => {
    const sink = new FileSink({ path, onProblem });
    await sink.written();
    sink.write(block("one\n"));
    let later = false;
    const one = sink.written().then(() => {
      expect(later).toBe(false);
      expect(readFileSync(path, "utf8").startsWith("one\n")).toBe(true);
    });
    sink.write(block("x".repeat(100_000)));
    const two = sink.written().then(() => {
      later = true;
    });
    await Promise.all([one, two]);
    expect(statSync(path).size).toBe(100_004);
    await sink.close();
  });

  test("waits no longer when it gives up", async () => {
    const sink = new FileSink({ path: join(folder, "web.log/not-a-folder"), onProblem });
    writeFileSync(path, "");
    sink.write(block("one\n"));
    const written = sink.written();
    await sink.close();
    await written;
    expect(sink.dropped).toBe(1);
  });
});

describe("a file sink with rotation", () => {
  const files = () =>
    Object.fromEntries(
      readdirSync(folder)
        .sort()
        .map((name) => [name, readFileSync(join(folder, name), "utf8")]),
    );

  test("keeps so many old files, each within the size and cut at lines", async () => {
    const sink = new FileSink({ path, onProblem, rotate: { sizeBytes: 12, keep: 2 } });
    sink.write(block("aaaa\nbbbb\ncccc\ndddd\n"));
    sink.write(block("eeee\n"));
    sink.write(block("ffff\n"));
    sink.write(block("gggg\n"));
    await sink.close();
    expect(files()).toEqual({ "web.log": "gggg\n", "web.log.1": "eeee\nffff\n", "web.log.2": "cccc\ndddd\n" });
    expect(sink.rotations).toBe(3);
    expect(sink.dropped).toBe(0);
  });

  test("gives a line that is larger than the limit a file for itself", async () => {
    const sink = new FileSink({ path, onProblem, rotate: { sizeBytes: 8, keep: 5 } });
    sink.write(block("a\n"));
    sink.write(block("0123456789\nb\n"));
    await sink.close();
    expect(files()).toEqual({ "web.log": "b\n", "web.log.1": "0123456789\n", "web.log.2": "a\n" });
  });

  test("cuts bytes that have no newline, so that no file grows without end", async () => {
    const sink = new FileSink({ path, onProblem, rotate: { sizeBytes: 8, keep: 9 } });
    for (let n = 0; n < 6; n++) sink.write(block(String(n).repeat(5)));
    await sink.close();
    const all = files();
    expect(Object.keys(all).length).toBeGreaterThan(2);
    expect(
      Object.keys(all)
        .sort()
        .reverse()
        .map((name) => all[name])
        .join(""),
    ).toBe("000001111122222333334444455555");
  });

  test("keeps nothing old if told so", async () => {
    const sink = new FileSink({ path, onProblem, rotate: { sizeBytes: 4, keep: 0 } });
    sink.write(block("aaa\n"));
    sink.write(block("bbb\n"));
    await sink.close();
    expect(files()).toEqual({ "web.log": "bbb\n" });
  });

  test("counts the size of the file it found", async () => {
    writeFileSync(path, "found\n");
    const sink = new FileSink({ path, onProblem, rotate: { sizeBytes: 8, keep: 1 } });
    sink.write(block("next\n"));
    await sink.close();
    expect(files()).toEqual({ "web.log": "next\n", "web.log.1": "found\n" });
  });

  test("writes on when it cannot rotate, and says so", async () => {
    mkdirSync(`${path}.1`);
    writeFileSync(join(`${path}.1`, "occupant"), "");
    const sink = new FileSink({ path, onProblem, rotate: { sizeBytes: 4, keep: 1 } });
    for (const line of ["aaa\n", "bbb\n", "ccc\n"]) sink.write(block(line));
    await sink.close();
    expect(text()).toBe("aaa\nbbb\nccc\n");
    expect(problems.map((known) => known.code)).toContain("log-rotation-failed");
  });

  test("loses no byte under a flood", async () => {
    const sink = new FileSink({ path, onProblem, rotate: { sizeBytes: 50_000, keep: 1000 } });
    const expected: string[] = [];
    for (let n = 0; n < 3000; n++) {
      const line = `${n} ${"x".repeat(n % 300)}\n`;
      expected.push(line);
      if (!sink.write(block(line, n % 3))) await drained(sink);
    }
    await sink.close();
    const names = readdirSync(folder).sort((a, b) => Number(b.split(".")[2] ?? 0) - Number(a.split(".")[2] ?? 0));
    const all = names.map((name) => readFileSync(join(folder, name), "utf8"));
    for (const file of all) expect(file.length).toBeLessThanOrEqual(50_000);
    expect(all.join("")).toBe(expected.join(""));
  });
});

describe("a file sink whose disk is full", () => {
  const retry = { initialMs: 5, maxMs: 20 };

  test("drops what does not fit into its queue, counts it, tells it once, and goes on when there is room", async () => {
    symlinkSync("/dev/full", path);
    const sink = new FileSink({ path, onProblem, retry, maxQueueBytes: 8 });
    sink.write(block("kept 1\n"));
    await problem("log-file-failed");
    expect(sink.write(block("kept 2\n"))).toBe(true);
    expect(sink.write(block("lost\nlost\n"))).toBe(true);
    expect(sink.dropped).toBe(2);
    symlinkSync(join(folder, "target"), `${path}.new`);
    renameSync(`${path}.new`, path);
    await problem("log-file-recovered");
    sink.write(block("after\n"));
    await sink.close();
    expect(text()).toBe("kept 1\nkept 2\nafter\n");
    expect(problems.map(({ code, dropped }) => ({ code, dropped }))).toEqual([
      { code: "log-file-failed", dropped: 0 },
      { code: "log-file-recovered", dropped: 2 },
    ]);
    expect(problems[1]?.message).toContain("2 lines were dropped");
  });

  test("lets go of a worker that waits for room", async () => {
    symlinkSync("/dev/full", path);
    const sink = new FileSink({ path, onProblem, retry, maxQueueBytes: 4 });
    expect(sink.write(block("too long\n"))).toBe(false);
    await drained(sink);
    await sink.close();
    expect(sink.dropped).toBe(1);
  });

  test("counts what it could not write when it is closed", async () => {
    symlinkSync("/dev/full", path);
    const sink = new FileSink({ path, onProblem, retry: { initialMs: 3_600_000, maxMs: 3_600_000 } });
    sink.write(block("a\nb\n"));
    await problem("log-file-failed");
    await sink.close();
    expect(sink.dropped).toBe(2);
    expect(problems.at(-1)?.message).toContain("2 lines are lost");
    expect(sink.write(block("late\n"))).toBe(true);
    expect(sink.dropped).toBe(3);
  });

  test("names the folder that it may not make", async () => {
    writeFileSync(join(folder, "file"), "");
    path = join(folder, "file/web.log");
    const sink = new FileSink({ path, onProblem, retry });
    sink.write(block("a\n"));
    await sink.close();
    expect(problems[0]?.message).toContain("ENOTDIR");
    expect(sink.dropped).toBe(1);
  });
});

describe("sinks that share a path", () => {
  test("write into one file, which is complete when the last of them is closed", async () => {
    const output = new SupervisorOutput({ stream: openOutputStream(1), format: "pretty", onProblem });
    const sinks = new LogSinks(output, onProblem);
    const open = () => sinks.open("web", { to: "file", path })!;
    const [first, second] = [open(), open()];
    first.write(block("1\n", 1));
    second.write(block("2\n", 2));
    await first.close();
    await first.close();
    expect(text()).toBe("1\n2\n");
    second.write(block("3\n", 2));
    const closing = second.close();
    const third = open();
    third.write(block("4\n", 3));
    await Promise.all([closing, third.close()]);
    expect(text()).toBe("1\n2\n3\n4\n");
    await output.close(0);
  });

  test("are null and absent where nothing is to be written", async () => {
    const output = new SupervisorOutput({ stream: openOutputStream(1), format: "pretty", onProblem });
    const sinks = new LogSinks(output, onProblem);
    expect(sinks.open("web", { to: "inherit" })).toBeUndefined();
    const none = sinks.open("web", { to: "null" })!;
    expect(none.write(block("a\n"))).toBe(true);
    expect(none.dropped).toBe(0);
    await output.close(0);
  });
});
