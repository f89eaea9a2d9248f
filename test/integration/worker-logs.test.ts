import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { command as holdfastCommand } from "../../bench/lib/holdfast.mjs";
import type { LogLine } from "../../src/daemon/control/api.js";
import { isRunning } from "./census.js";
import { command } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

/** Everything that went into a log file, the files that were put aside included, oldest first. */
function readRotated({ directory }: Scene, name: string): { bytes: Buffer; sizes: number[] } {
  const files = readdirSync(directory)
    .filter((file) => file === name || file.startsWith(`${name}.`))
    .map((file) => ({ file, age: Number(file.slice(name.length + 1) || 0) }))
    .sort((a, b) => b.age - a.age)
    .map(({ file }) => readFileSync(join(directory, file)));
  return { bytes: Buffer.concat(files), sizes: files.map(({ length }) => length) };
}

describe("a worker that writes ten megabytes a second", () => {
  test("to a file that is rotated has each line there once, in order", async () => {
    const lines = 300_000;
    const scene = await start({
      config: `
        [service.flood]
        ${command("floods", String(lines), "100", "10000000")}
        log = { to = "file:flood.log", rotate = { size = "4MiB", keep = 20 } }`,
    });
    const text = await hasWritten(scene, "flood");
    await scene.act("flood", "stop");
    const { bytes, sizes } = readRotated(scene, "flood.log");
    const written = bytes.toString("latin1").split("\n");

    expect(written.pop()).toBe("");
    const numbered = written.filter((line) => !line.startsWith("wrote "));
    // A disk that stands still for long enough costs lines, and they are counted.
    const { logDropped } = await scene.service("flood");
    expect(numbered.length + logDropped).toBe(lines);
    const numbers = numbered.map((line) => (line.length === 99 ? Number(line.slice(0, 8)) : Number.NaN));
    expect(numbers.findIndex((number, index) => !(number > (numbers[index - 1] ?? -1)))).toBe(-1);
    expect(sizes.length).toBeGreaterThanOrEqual(7);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(Number(/in ([\d.]+) s/.exec(text)?.[1]), "the worker was not slowed down").toBeLessThan(6);
  });

  test("and is killed meanwhile leaves whole lines, and its successor goes on in the same file", async () => {
    const scene = await start({
      config: `
        [service.flood]
        ${command("floods", "50000", "100", "10000000")}
        log = { to = "file:flood.log", rotate = { size = "1MiB", keep = 50 } }`,
    });
    const first = await scene.pid("flood");
    await expect.poll(async () => (await kept(scene, "flood")).lines.length).toBeGreaterThan(1000);
    process.kill(first, "SIGKILL");
    await hasWritten(scene, "flood");
    await scene.act("flood", "stop");
    const written = readRotated(scene, "flood.log").bytes.toString("latin1").split("\n");

    const second = written.findLastIndex((line) => line.startsWith("00000000 "));
    const successor = written.slice(second).filter((line) => /^\d/.test(line));
    const { logDropped } = await scene.service("flood");
    expect(successor.length).toBeLessThanOrEqual(50_000);
    expect(successor.length + logDropped).toBeGreaterThanOrEqual(50_000);
    const predecessor = written.slice(0, second);
    expect(predecessor.length).toBeGreaterThan(1000);
    expect(predecessor.length).toBeLessThan(50_000);
    // A pipe may end in the middle of a line: what came of it is there, and nothing is in it twice.
    const numbers = predecessor.filter((line) => line.length >= 8).map((line) => Number(line.slice(0, 8)));
    expect(numbers.findIndex((number, index) => !(number > (numbers[index - 1] ?? -1)))).toBe(-1);
  });
});

describe("what a worker writes", () => {
  test("without a newline at the end is there, in memory and in the file", async () => {
    const scene = await start({
      config: `
        [service.memory]
        ${command("no-newline")}
        restart = "never"
        [service.file]
        ${command("no-newline")}
        restart = "never"
        log = "file:words.log"`,
    });
    await scene.line("memory", /^first line$/);
    await scene.line("memory", /^the end has no newline$/);
    await scene.event("halted", "file");
    await expect
      .poll(() => readFileSync(join(scene.directory, "words.log"), "utf8"))
      .toBe("first line\nthe end has no newline");
  });

  test("as bytes that are no text is in the file as it was, and never breaks the lines in memory", async () => {
    const scene = await start({
      config: `
        [service.bytes]
        ${command("binary-output")}
        log = "file:bytes.log"`,
    });
    const file = join(scene.directory, "bytes.log");
    const size = () => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    await expect.poll(size, { timeout: 5000 }).toBeGreaterThan(250_000);
    await scene.act("bytes", "stop"); // Only then what follows the last newline is written.
    await expect.poll(size).toBe(256_000);
    const expected = Buffer.alloc(256_000);
    for (let position = 0; position < expected.length; position++) {
      expected[position] = (position * 167 + Math.floor(position / 256)) % 256;
    }
    expect(readFileSync(file).equals(expected)).toBe(true);
    const { lines } = await kept(scene, "bytes");
    expect(lines.length).toBeGreaterThan(100);
  });

  test("goes to the supervisor's output with its instance, and to holdfast logs", async () => {
    const scene = await start({
      config: `
        [service.talks]
        ${command("floods", "50", "20", "1000000")}`,
    });
    await scene.line("talks", /^wrote /);
    expect(await scene.holdfast.run("logs", "talks", "-n", "4", "--raw")).toMatch(
      /^00000047 x+\n00000048 x+\n00000049 x+\nwrote 50 lines .*\n$/,
    );
    const last = await scene.holdfast.json("logs", "talks", "-n", "2");
    expect(last).toMatchObject([
      { service: "talks", instance: "talks/1", worker: 1, stream: "stdout" },
      { stream: "stderr", text: expect.stringMatching(/^wrote/) },
    ]);
    await expect.poll(() => scene.holdfast.output).toMatch(/"instance":"talks\/1".*"msg":"00000049 x+"/);
  });

  test("is followed by holdfast logs -f, across a restart, until Ctrl-C", async () => {
    const scene = await start({
      config: `
        [service.signals]
        ${command("logs-signals")}
        ready = "spawned"`,
    });
    await scene.line("signals", /watching/);
    const follower = spawn(
      process.execPath,
      [holdfastCommand, "logs", "signals", "-f", "--raw", "--control", scene.holdfast.control],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const lines = createInterface({ input: follower.stdout })[Symbol.asyncIterator]();
    const next = async () => (await lines.next()).value;
    const before = await scene.pid("signals");
    expect(await next()).toBe(`watching as ${before}`);
    await scene.holdfast.act("signals", { action: "signal", signal: "SIGHUP" });
    expect(await next()).toBe("SIGHUP");
    await scene.restart("signals", true);
    expect(await next()).toBe("SIGTERM");
    expect(await next()).toBe(`watching as ${await scene.pid("signals")}`);
    follower.kill("SIGINT");
    expect(await once(follower, "exit")).toEqual([130, null]);
  });

  test("with log = inherit is on the supervisor's output untouched", async () => {
    const scene = await start({
      config: `
        [service.talks]
        ${command("logs-signals")}
        log = "inherit"`,
    });
    await expect.poll(() => scene.holdfast.output, { timeout: 5000 }).toMatch(/^watching as \d+$/m);
    expect(await kept(scene, "talks")).toMatchObject({ lines: [] });
  });

  test("with log = null is nowhere", async () => {
    const scene = await start({
      config: `
        [service.talks]
        ${command("no-newline")}
        restart = "never"
        log = "null"`,
    });
    await scene.event("halted", "talks");
    expect(await kept(scene, "talks")).toMatchObject({ lines: [] });
    expect(scene.holdfast.output).not.toContain("first line");
  });

  test("is complete when its child keeps the pipe open after its end", async () => {
    const scene = await start({
      config: `
        [service.leaves]
        ${command("leaves-child", "0")}
        restart = "never"
        log = "file:leaves.log"`,
    });
    await scene.event("halted", "leaves"); // It does not wait for the other end of the pipe to be closed.
    const { text } = await scene.line("leaves", /^left \d+ behind$/);
    expect(isRunning(Number(/\d+/.exec(text)?.[0]))).toBe(false);
    await expect.poll(() => readFileSync(join(scene.directory, "leaves.log"), "utf8")).toBe(`${text}\n`);
  });
});

/** The lines that are still in the memory of the supervisor. */
async function kept({ holdfast }: Scene, service: string): Promise<{ lines: LogLine[] }> {
  return holdfast.get(`/v1/services/${service}/logs?lines=9999`);
}

/** The last words of a flood. They are not waited for in the stream: that ends, by design, for a reader of such a number of lines. */
async function hasWritten(scene: Scene, service: string): Promise<string> {
  const words = async () => (await kept(scene, service)).lines.find(({ text }) => text.startsWith("wrote "))?.text;
  await expect.poll(words, { timeout: 15_000 }).toBeDefined();
  return (await words())!;
}
