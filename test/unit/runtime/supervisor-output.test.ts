import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type OwnedFd, pipe, read, receive, setNonblocking, socketPair } from "../../../src/ancillary/index.js";
import { LogBlock } from "../../../src/daemon/runtime/logs/log-block.js";
import type { LogProblem } from "../../../src/daemon/runtime/logs/log-sink.js";
import { openOutputStream } from "../../../src/daemon/runtime/logs/output-stream.js";
import { SupervisorOutput } from "../../../src/daemon/runtime/logs/supervisor-output.js";
import { descriptorCensus } from "./fixtures/census.js";

let noDescriptorIsLeft: () => void;
let problems: LogProblem[];
beforeEach(() => {
  problems = [];
  noDescriptorIsLeft = descriptorCensus();
});
afterEach(() => noDescriptorIsLeft());

function block(text: string, service = "web"): LogBlock {
  return new LogBlock(
    { service, instance: `${service}/1`, worker: 3, stream: "stderr" },
    "2026-01-01T00:00:00.000Z",
    Buffer.from(text),
  );
}

function output(fd: number, more: { format?: "pretty" | "json"; maxBytes?: number } = {}): SupervisorOutput {
  const now = () => new Date(0);
  return new SupervisorOutput({
    stream: openOutputStream(fd),
    format: "pretty",
    onProblem: (problem) => problems.push(problem),
    now,
    ...more,
  });
}

/** Reads until `done` says that it has enough, or the end. */
async function readUntil(fd: OwnedFd, done: (text: string) => boolean): Promise<string> {
  setNonblocking(fd, true);
  const buffer = Buffer.alloc(65536);
  let text = "";
  while (!done(text)) {
    const count = read(fd, buffer);
    if (count === 0) break;
    if (count === "would-block") await turn();
    else text += buffer.toString("utf8", 0, count);
  }
  return text;
}

describe("the supervisor's output on a pipe", () => {
  test("shows each line with its instance", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number);
    out.sinkFor("web").write(block("one\ntwo\n"));
    out.sinkFor("db").write(block("three\n", "db"));
    out.writeOwn("holdfast: hello\n");
    await out.close(5000);
    write.close();
    expect(await readUntil(from, (text) => text.endsWith("hello\n"))).toBe(
      "web/1 | one\nweb/1 | two\ndb/1 | three\nholdfast: hello\n",
    );
    from.close();
  });

  test("tells when what was taken is written", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number);
    const sink = out.sinkFor("web");
    await sink.written();
    sink.write(block("one\n"));
    await sink.written();
    expect(await readUntil(from, (text) => text.endsWith("\n"))).toBe("web/1 | one\n");
    await out.close(5000);
    write.close();
    from.close();
  });

  test("tells that what nobody reads was given up", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number);
    const sink = out.sinkFor("web");
    sink.write(block(`${"x".repeat(200_000)}\n`));
    const written = sink.written();
    await out.close(0);
    await written;
    expect(sink.dropped).toBe(1);
    write.close();
    from.close();
  });

  test("writes lines as JSON", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number, { format: "json" });
    out.sinkFor("web").write(block('a "quoted" line\n'));
    await out.close(5000);
    write.close();
    expect(JSON.parse(await readUntil(from, (text) => text.endsWith("\n")))).toEqual({
      level: "info",
      time: "2026-01-01T00:00:00.000Z",
      service: "web",
      instance: "web/1",
      worker: 3,
      stream: "stderr",
      msg: 'a "quoted" line',
    });
    from.close();
  });

  test("does not change the pipe for those who share it", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number);
    out.sinkFor("web").write(block("x\n"));
    await out.close(5000);
    const flags = readFileSync(`/proc/self/fdinfo/${write.borrow().number}`, "utf8");
    expect(Number.parseInt(/flags:\s+(\d+)/.exec(flags)![1]!, 8) & 0o4000).toBe(0);
    write.close();
    from.close();
  });

  test("drops lines of a reader that is too slow, and says how many when it reads again", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number, { maxBytes: 200_000 });
    const sink = out.sinkFor("web");
    let written = 0;
    while (sink.dropped === 0) {
      expect(sink.write(block(`${"x".repeat(1000)}\n`.repeat(10)))).toBe(true);
      written += 10;
      await turn();
    }
    sink.write(block("lost as well\n"));
    const quiet = out.sinkFor("db");
    const notice = "holdfast: 11 log lines of web were dropped: stdout is not read fast enough\n";
    const text = await readUntil(from, (soFar) => soFar.endsWith(notice));
    expect(text.split("\n").filter((line) => line.startsWith("web/1 | x"))).toHaveLength(written - 10);
    expect(sink.dropped).toBe(11);
    expect(quiet.dropped).toBe(0);
    sink.write(block("again\n"));
    expect(await readUntil(from, (soFar) => soFar.endsWith("\n"))).toBe("web/1 | again\n");
    await out.close(5000);
    write.close();
    from.close();
  });

  test("counts what nobody read when it is closed", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number);
    const sink = out.sinkFor("web");
    for (let n = 0; n < 30; n++) sink.write(block(`${"x".repeat(9999)}\n`));
    await out.close(1);
    write.close();
    const text = await readUntil(from, () => false);
    const whole = text.split("\n").length - 1;
    expect(whole + sink.dropped).toBe(30);
    from.close();
  });

  test("tells once that its reader is gone, and counts the lines", async () => {
    const [from, write] = pipe();
    const out = output(write.borrow().number);
    const sink = out.sinkFor("web");
    from.close();
    sink.write(block("a\nb\n"));
    while (problems.length === 0) await turn();
    sink.write(block("c\n"));
    expect(sink.dropped).toBe(3);
    expect(problems.map((problem) => problem.code)).toEqual(["log-output-failed"]);
    await out.close(0);
    write.close();
  });
});

describe("the supervisor's output on a socket", () => {
  test("waits for room without blocking", async () => {
    const [here, there] = socketPair("unix");
    const out = output(there.borrow().number, { maxBytes: 4_000_000 });
    for (let n = 0; n < 100; n++) out.sinkFor("web").write(block(`${"x".repeat(9999)}\n`));
    out.writeOwn("end\n");
    let length = 0;
    let text = "";
    while (!text.endsWith("end\n")) {
      const message = receive(here, { maxBytes: 65536 });
      if (message === "end") break;
      if (message === "would-block") {
        await turn();
        continue;
      }
      text = message.data.toString();
      length += message.data.length;
    }
    expect(length).toBe(100 * 10_008 + 4);
    await out.close(5000);
    here.close();
    there.close();
  });
});

describe("the supervisor's output in a file", () => {
  test("appends where the shared offset is", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-out-"));
    const path = join(folder, "out");
    const fd = openSync(path, "w");
    const out = output(fd);
    out.sinkFor("web").write(block("a\n"));
    out.sinkFor("web").write(block("b\n"));
    await out.close(5000);
    closeSync(fd);
    expect(readFileSync(path, "utf8")).toBe("web/1 | a\nweb/1 | b\n");
    rmSync(folder, { recursive: true });
  });
});
