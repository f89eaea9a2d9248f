import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { gone } from "../../bench/lib/time-answer.mjs";
import { until } from "../../bench/lib/until.mjs";
import type { ServiceView } from "../../src/daemon/control/api.js";
import { command } from "../integration/fixture.js";
import { KeeperRun } from "./keeper-run.js";

const lineBytes = 64;
/** 10 MB: far more than a pipe and the keeper's ring can hold. */
const burstLines = 160_000;
const burstBytes = burstLines * lineBytes;
const notePattern = /^holdfast: (\d+) bytes of stdout were dropped here/;

/** The keeper with a supervisor that waits before it begins for as long as a file is there; so the keeper is alone for as long as a test likes. */
function runWith(worker: string, supervisor = ""): KeeperRun {
  return new KeeperRun({
    script: 'while [ -e hold ]; do sleep 0.02; done; exec "$NODE" "$ROOT/dist/bin/supervisor.js" -c holdfast.toml',
    supervisor,
    config: `
      [service.loud]
      ${worker}
      ready = "spawned"
      log = "file:loud.log"`,
  });
}

function logOf({ directory }: KeeperRun): string {
  const path = join(directory, "loud.log");
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}

async function service(run: KeeperRun): Promise<ServiceView> {
  return (await run.get("/v1/services/loud")) as ServiceView;
}

/** What it writes may be read before the keeper's news of its start. */
function workerOf(run: KeeperRun): Promise<number> {
  return until("the pid of the worker", async () => (await service(run)).workers[0]?.pid);
}

function numbered(line: number): string {
  return String(line).padStart(lineBytes - 1, "0");
}

/**
 * Compares a log with what the worker wrote, where the bytes at each place are known: each note stands where so many are missing, and everything else
 * is there, in order, once. Returns the counts in the notes and where the log ends in what was written.
 */
function check(log: string): { readonly counts: number[]; readonly end: number } {
  const counts: number[] = [];
  let at = 0;
  for (const line of log.split("\n").slice(0, -1)) {
    const dropped = notePattern.exec(line)?.[1];
    if (dropped !== undefined) {
      counts.push(Number(dropped));
      at += Number(dropped);
    } else if (line !== "waiting") {
      const whole = numbered(Math.floor(at / lineBytes));
      expect(line).toBe(whole.slice(at % lineBytes));
      at += line.length + 1;
    }
  }
  return { counts, end: at };
}

async function hasLogged(run: KeeperRun, bursts: number): Promise<void> {
  const last = `${numbered(bursts * burstLines - 1)}\n`;
  await until(`the end of burst ${bursts} in the log`, () => logOf(run).endsWith(last), { timeoutMs: 30_000 });
}

/** What it was told of the log was settled with the keeper: the frames are on their way before an answer to a later request is. */
async function isSettled(run: KeeperRun): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await run.supervisor();
}

describe("a worker that logs while there is no supervisor", () => {
  test("is not held up, and its log has everything but what is counted there, at its place", {
    timeout: 120_000,
  }, async () => {
    const run = runWith(command("bursts", String(burstLines)));
    let { pid } = await run.supervisor();
    await until("a worker", () => logOf(run) === "waiting\n");
    const worker = await workerOf(run);
    for (let burst = 1; burst <= 3; burst++) {
      run.touch("hold");
      process.kill(pid, "SIGKILL");
      await gone(pid);
      process.kill(worker, "SIGUSR1");
      // The next supervisor has not begun, so it is the keeper that reads.
      await until("the end of a burst", () => existsSync(join(run.directory, `burst-${burst}`)), { timeoutMs: 30_000 });
      expect(logOf(run)).not.toContain(numbered(burst * burstLines - 1));
      rmSync(join(run.directory, "hold"));
      ({ pid } = await run.supervisor((view) => view.starts === burst + 1));
      await hasLogged(run, burst);
      await isSettled(run);
      const { counts, end } = check(logOf(run));
      expect(end).toBe(burst * burstBytes);
      expect(counts).toHaveLength(burst);
      for (const count of counts) expect(count).toBeGreaterThan(burstBytes - 256 * 1024);
      expect(await service(run)).toMatchObject({ logDropped: 0, logBytesDropped: counts.at(-1) });
    }
    expect((await service(run)).workers.map((view) => view.pid)).toEqual([worker]);
  });

  test("whose supervisor hangs waits for its watchdog and no longer", { timeout: 60_000 }, async () => {
    const run = runWith(command("bursts", String(burstLines)), 'watchdog = "1s"');
    const { pid } = await run.supervisor();
    await until("a worker", () => logOf(run) === "waiting\n");
    const worker = await workerOf(run);
    run.touch("hold");
    process.kill(pid, "SIGSTOP");
    process.kill(worker, "SIGUSR1");
    await gone(pid);
    await until("the end of a burst", () => existsSync(join(run.directory, "burst-1")), { timeoutMs: 30_000 });
    rmSync(join(run.directory, "hold"));
    await hasLogged(run, 1);
    const { counts, end } = check(logOf(run));
    expect({ end, notes: counts.length }).toEqual({ end: burstBytes, notes: 1 });
  });

  test("and little is missed by nobody", { timeout: 60_000 }, async () => {
    const run = runWith(command("bursts", "100"));
    const { pid } = await run.supervisor();
    await until("a worker", () => logOf(run) === "waiting\n");
    const worker = await workerOf(run);
    run.touch("hold");
    process.kill(pid, "SIGKILL");
    await gone(pid);
    process.kill(worker, "SIGUSR1");
    await until("the end of a burst", () => existsSync(join(run.directory, "burst-1")));
    process.kill(worker, "SIGKILL"); // What the last words of a worker that has ended are is known as well.
    rmSync(join(run.directory, "hold"));
    await until("all lines", () => logOf(run).includes(numbered(99)));
    const first = logOf(run).split("\n").slice(0, 101);
    expect(first).toEqual(["waiting", ...Array.from({ length: 100 }, (_, line) => numbered(line))]);
    expect(await service(run)).toMatchObject({ logBytesDropped: 0 });
  });
});

describe("a worker that logs without end", () => {
  test("while its supervisor is killed again and again has its lines in order, none twice", {
    timeout: 120_000,
  }, async () => {
    const kills = 4;
    const run = runWith(`${command("floods", "9000000", String(lineBytes), "5000000")}\nrestart = "never"`);
    const size = (): number => statSync(join(run.directory, "loud.log"), { throwIfNoEntry: false })?.size ?? 0;
    for (let kill = 1; kill <= kills; kill++) {
      const { pid } = await run.supervisor((view) => view.starts === kill);
      const before = size();
      await until("lines of this supervisor", () => size() > before);
      process.kill(pid, "SIGKILL");
      await gone(pid);
    }
    await run.supervisor((view) => view.starts === kills + 1);
    process.kill(await workerOf(run), "SIGKILL");
    await until("its end", async () => (await service(run)).phase === "failed");
    await isSettled(run);
    const log = logOf(run);
    // A supervisor that is killed leaves a piece of a line, in the file or out of it; whole lines tell where they belong.
    const whole = log.split("\n").filter((line) => /^\d{8} x{54}$/.test(line));
    const numbers = whole.map((line) => Number(line.slice(0, 8)));
    expect(numbers.findIndex((number, index) => index > 0 && number <= numbers[index - 1]!)).toBe(-1);
    const counted = [...log.matchAll(new RegExp(notePattern, "gm"))].reduce((sum, [, count]) => sum + Number(count), 0);
    // What a supervisor had read and not written is gone with it, and is no more than its queue and what it has in hand.
    const missing = (numbers.at(-1)! + 1 - numbers.length) * lineBytes;
    expect(counted).toBeGreaterThan(0);
    expect(missing).toBeLessThanOrEqual(counted + kills * 2 * 1024 * 1024);
  });
});
