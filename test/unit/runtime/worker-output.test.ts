import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type OwnedFd, pipe } from "../../../src/ancillary/index.js";
import type { DrainedLogs } from "../../../src/daemon/runtime/logs/drained-logs.js";
import { FileSink } from "../../../src/daemon/runtime/logs/file-sink.js";
import type { LogBlock } from "../../../src/daemon/runtime/logs/log-block.js";
import { LogRing } from "../../../src/daemon/runtime/logs/log-ring.js";
import { type LogSink, nullSink } from "../../../src/daemon/runtime/logs/log-sink.js";
import { WorkerOutput } from "../../../src/daemon/runtime/logs/worker-output.js";
import { descriptorCensus } from "./fixtures/census.js";

const worker = { service: "web", instance: "web/1", worker: 4 };
let noDescriptorIsLeft: () => void;
let ring: LogRing;
let stdout: OwnedFd;
let stderr: OwnedFd;
let output: WorkerOutput | undefined;

beforeEach(() => {
  noDescriptorIsLeft = descriptorCensus();
  ring = new LogRing({ maxLines: 2000, maxBytes: 1024 * 1024 });
});

afterEach(() => {
  output?.close();
  stdout.close();
  stderr.close();
  noDescriptorIsLeft();
});

/** Pipes to read from; `stdout` and `stderr` are their write ends. */
function read(sink: LogSink = nullSink, drained: DrainedLogs = {}): WorkerOutput {
  const [out, outWrite] = pipe();
  const [err, errWrite] = pipe();
  stdout = outWrite;
  stderr = errWrite;
  output = new WorkerOutput({ worker, stdout: out, stderr: err, ring, sink, drained, now: () => new Date(0) });
  return output;
}

function write(fd: OwnedFd, text: string | Buffer): void {
  writeSync(fd.borrow().number, Buffer.from(text));
}

/** Starts a program with the write ends, which we then close. */
function run(program: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ["ignore", stdout.borrow().number, stderr.borrow().number] });
  stdout.close();
  stderr.close();
  return child;
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await turn();
}

class SlowSink implements LogSink {
  readonly taken: string[] = [];
  readonly dropped = 0;
  #resume: (() => void) | undefined;
  write(block: LogBlock): boolean {
    this.taken.push(String(block.bytes));
    return false;
  }
  onDrain(resume: () => void): void {
    this.#resume = resume;
  }
  drain(): void {
    this.#resume?.();
  }
  written(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

const texts = () => ring.last(100).map((line) => line.text);

describe("the output of a worker", () => {
  test("reaches the ring line by line, with its origin", async () => {
    read();
    write(stdout, "one\ntw");
    write(stdout, "o\n");
    await until(() => texts().length === 2);
    write(stderr, "three\n");
    await until(() => texts().length === 3);
    expect(texts()).toEqual(["one", "two", "three"]);
    expect(ring.last(1)).toEqual([{ at: "1970-01-01T00:00:00.000Z", ...worker, stream: "stderr", text: "three" }]);
  });

  test("has ended once no process has a write end, and gives a last line without newline", async () => {
    const out = read();
    const child = run("sh", "-c", "echo one; printf two; printf err >&2");
    await once(child, "exit");
    await until(() => out.ended);
    expect(texts().sort()).toEqual(["err", "one", "two"]);
    expect(out.lastLines(10)).toHaveLength(3);
  });

  test("is not ended by one stream alone", async () => {
    const out = read();
    stdout.close();
    write(stderr, "still\n");
    await until(() => texts().length === 1);
    expect(out.ended).toBe(false);
  });

  test("keeps its own last lines, however loud others are", async () => {
    const out = read();
    write(stdout, "reason\n");
    await until(() => texts().length === 1);
    for (let n = 0; n < 3000; n++) ring.append({ at: "now", ...worker, worker: 5, stream: "stdout", text: "noise" });
    expect(texts()).not.toContain("reason");
    expect(out.lastLines(1)).toEqual(["reason"]);
  });
});

describe("the output of a worker that is closed", () => {
  test("has what was still in the pipes", () => {
    const out = read();
    write(stdout, "a\nb\nlast words");
    write(stderr, "error\n");
    out.close();
    expect(texts()).toEqual(["a", "b", "last words", "error"]);
    expect(out.lastLines(2)).toEqual(["last words", "error"]);
  });

  test("does not wait for a process that holds the write end", async () => {
    const out = read();
    const child = run("sh", "-c", "echo started; exec cat /dev/zero");
    await until(() => texts().includes("started"));
    out.close();
    await once(child, "exit"); // SIGPIPE: the pipe has no reader any more.
    expect(child.signalCode).toBe("SIGPIPE");
    expect(out.ended).toBe(false);
  });

  test("can be closed twice and after its end", async () => {
    const out = read();
    stdout.close();
    stderr.close();
    await until(() => out.ended);
    out.close();
    out.close();
    expect(texts()).toEqual([]);
  });
});

describe("the output of a worker that the keeper has read from", () => {
  test("begins with what was drained, and a line goes on in the pipe", async () => {
    read(nullSink, { stdout: { dropped: 0, bytes: Buffer.from("d of a line\none\ntw") } });
    write(stdout, "o\n");
    await until(() => texts().length === 3);
    expect(texts()).toEqual(["d of a line", "one", "two"]);
  });

  test("says where how much is missing, for each stream", async () => {
    const out = read(nullSink, {
      stdout: { dropped: 70, bytes: Buffer.from("one\n") },
      stderr: { dropped: 8, bytes: Buffer.alloc(0) },
    });
    expect(texts()).toEqual([
      "holdfast: 70 bytes of stdout were dropped here, while there was no supervisor to read them",
      "one",
      "holdfast: 8 bytes of stderr were dropped here, while there was no supervisor to read them",
    ]);
    expect(out.lastLines(2)).toEqual(texts().slice(1));
  });

  test("pauses the pipes when that alone fills the sink", async () => {
    const sink = new SlowSink();
    read(sink, { stdout: { dropped: 0, bytes: Buffer.from("one\n") } });
    write(stdout, "two\n");
    for (let n = 0; n < 20; n++) await turn();
    expect(sink.taken).toEqual(["one\n"]);
    sink.drain();
    await until(() => sink.taken.length === 2);
  });
});

describe("the output of a worker whose sink is full", () => {
  test("stays in the pipe until there is room", async () => {
    const sink = new SlowSink();
    read(sink);
    write(stdout, "one\n");
    await until(() => sink.taken.length === 1);
    write(stdout, "two\n");
    write(stderr, "three\n");
    for (let n = 0; n < 20; n++) await turn();
    expect(sink.taken).toEqual(["one\n"]);
    sink.drain();
    await until(() => sink.taken.length >= 2);
    sink.drain();
    await until(() => sink.taken.length === 3);
    expect([...sink.taken].sort()).toEqual(["one\n", "three\n", "two\n"]);
  });

  test("is taken all the same when it is closed", async () => {
    const sink = new SlowSink();
    const out = read(sink);
    write(stdout, "one\n");
    await until(() => sink.taken.length === 1);
    write(stdout, "two\n");
    out.close();
    expect(sink.taken).toEqual(["one\n", "two\n"]);
  });
});

describe("the output of a worker that writes into a file", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-worker-"));
    path = join(folder, "log");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("is complete, binary and without newlines as it is", async () => {
    const sink = new FileSink({ path, onProblem: (problem) => expect(problem).toBeUndefined() });
    const out = read(sink);
    const child = run("sh", "-c", "head -c 3000000 /dev/urandom; head -c 1000000 /dev/zero");
    await once(child, "exit");
    await until(() => out.ended);
    await sink.close();
    expect(readFileSync(path).length).toBe(4_000_000);
  });

  test("loses no line at full speed", async () => {
    const sink = new FileSink({ path, onProblem: (problem) => expect(problem).toBeUndefined() });
    const out = read(sink);
    const child = run("seq", "1", "2000000");
    await once(child, "exit");
    await until(() => out.ended);
    await sink.close();
    const hash = createHash("sha256");
    for (let n = 1; n <= 2_000_000; n += 10_000) {
      hash.update(Array.from({ length: 10_000 }, (_, index) => `${n + index}\n`).join(""));
    }
    expect(createHash("sha256").update(readFileSync(path)).digest("hex")).toBe(hash.digest("hex"));
    expect(sink.dropped).toBe(0);
    expect(ring.last(1)[0]?.text).toBe("2000000");
    expect(ring.dropped).toBe(2_000_000 - 2000);
  });
});
