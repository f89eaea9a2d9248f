/** Keeper and supervisor are killed at once; what runs on is taken over by the next run: `holdfast run --orphans adopt`. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { command as bin, freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { startLoad } from "../../bench/load.mjs";
import { ask } from "./ask.js";
import { isRunning, isSameStart, processesMarked } from "./census.js";
import { command, fixture } from "./fixture.js";
import { hasLibsystemd } from "./notify/saying.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();
const host = "127.0.0.1";
const preload = join(import.meta.dirname, "../fault/kill-after-step.cjs");
/** HOLDFAST_KILL_AFTER is for trying the others. */
const killAfter = Number(process.env.HOLDFAST_KILL_AFTER ?? 25);
const runs: ChildProcess[] = [];

// Before the scenes, which expect nobody any more.
afterEach(async () => {
  for (const run of runs.splice(0)) {
    if (run.exitCode !== null || run.signalCode !== null) continue;
    const ended = once(run, "exit");
    run.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  }
});

/** Kills both, and the workers in `too`; resolves once nothing else of it runs than `left`. */
async function killBoth(scene: Scene, left: readonly number[], ...too: readonly number[]): Promise<number> {
  const keeper = scene.holdfast.keeperPid!;
  const supervisor = await scene.supervisorPid();
  for (const pid of [keeper, supervisor, ...too]) process.kill(pid, "SIGKILL");
  await until("nothing but workers", () => processesMarked(scene.mark).length === left.length);
  return keeper;
}

/** The next run; resolves once it serves, with what it has said of what it found. `killAfter`: a step of its first supervisor, which is its last. */
async function runAgain(scene: Scene, before: number, killAfter?: number): Promise<{ readonly said: string }> {
  const { holdfast } = scene;
  if (killAfter !== undefined) writeFileSync(join(scene.directory, "kill-after"), String(killAfter));
  const run = spawn(process.execPath, [bin, "run", "-c", holdfast.file, "--orphans", "adopt"], {
    cwd: scene.directory,
    env: {
      ...process.env,
      TEST_MARK: scene.mark.split("=")[1],
      ...(killAfter === undefined ? {} : { NODE_OPTIONS: `--require=${preload}` }),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  runs.push(run);
  let output = "";
  for (const stream of [run.stdout!, run.stderr!])
    stream.on("data", (bytes) => {
      output += bytes;
    });
  await holdfast.succeeded(before).catch((error: Error) => {
    throw new Error(`${error.message}:\n${output}`);
  });
  const words = () => output.split("\n").find((one) => one.includes("left-overs-adopted"));
  const line = await until("its words", words, { timeoutMs: 20_000 });
  return { said: JSON.parse(line).msg };
}

function processesOf(scene: Scene, worker: string): number[] {
  const ours = new Set(processesMarked(scene.mark));
  return processesMarked(`HOLDFAST_WORKER=${worker}`)
    .filter((line) => ours.has(line))
    .map((line) => Number(line.split(" ")[0]));
}

describe("workers that were left alone", { timeout: 60_000 }, () => {
  test("are taken over with their sockets, and nobody who asks notices", async () => {
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"
        workers = 3
        [service.host]
        command = ["/bin/sh", "-c", '/usr/bin/setsid ${fixture("logs-signals").join(" ")} & exec sleep 3600']
        ready = "spawned"
        stop.kill = "process"`,
    });
    await scene.ready("web");
    const { text } = await scene.line("host", /^watching as/);
    const session = Number(/\d+/.exec(text)?.[0]);
    expect(await scene.restart("host")).toMatchObject({ result: "done" });
    await scene.line("host", new RegExp(`^watching as (?!${session}$)`));
    const hosts = processesOf(scene, "host/1");
    const host2 = await scene.pid("host");
    const before = await scene.service("web");
    const [killed, ...stay] = before.workers.map(({ pid }) => pid!) as [number, ...number[]];
    const socket = readlinkSync(`/proc/${killed}/fd/3`);
    const load = startLoad({ target: { host, port }, protocol: "line", rate: 100 });
    const keeper = await killBoth(scene, [...stay, ...hosts], killed);
    const { said } = await runAgain(scene, keeper);
    expect(said).toBe("what an earlier run has left was taken over: 3 workers, 1 socket");

    // What an earlier worker has left behind is none, and goes on.
    expect(hosts).toHaveLength(3);
    expect(processesOf(scene, "host/1")).toEqual(hosts);
    expect(await scene.service("host")).toMatchObject({ leftBehind: 1, workers: [{ pid: host2 }] });

    // The one that ended meanwhile has a successor, the others are who they were.
    await until("three workers", async () => (await scene.service("web")).ready === 3);
    const { workers } = await scene.service("web");
    for (const pid of stay) {
      const [was, is] = [before.workers, workers].map((all) => all.find((worker) => worker.pid === pid)!);
      expect(is!.id).toBe(was!.id);
      expect(isSameStart(is!, was!)).toBe(true);
    }
    expect(new Set(workers.map(({ id }) => id)).size).toBe(3);

    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    expect(stay.filter(isRunning)).toEqual([]);
    expect(readlinkSync(`/proc/${(await scene.holdfast.workerPids("web"))[0]}/fd/3`)).toBe(socket);
    expect(await load.stop()).toMatchObject({ failed: 0 });
  });

  test("are nobody else's, and started by nobody, when a supervisor is killed that takes them over", async () => {
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"
        workers = 2`,
    });
    await scene.ready("web");
    const pids = await scene.holdfast.workerPids("web");
    const keeper = await killBoth(scene, pids);
    // In the middle: the keeper has one of the two. Which step that is differs a little; each one has to do.
    const { said } = await runAgain(scene, keeper, killAfter);
    expect(existsSync(join(scene.directory, "killed"))).toBe(true);
    expect(said).toBe("what an earlier run has left was taken over: 2 workers, 1 socket");
    expect(await scene.holdfast.get("/v1/supervisor")).toMatchObject({ starts: 2 });
    expect(await scene.holdfast.workerPids("web")).toEqual(pids);
    expect([1, 2].flatMap((slot) => processesOf(scene, `web/${slot}`))).toEqual(pids);
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    expect(pids.filter(isRunning)).toEqual([]);
  });

  test.skipIf(!hasLibsystemd)(
    "write into their logs again, are heard again, and end with all that they have started",
    async () => {
      const scene = await start({
        config: `
        [service.logs]
        ${command("logs-signals")}
        ready = { when = "spawned", settle = "0ms" }
        [service.says]
        ${command("says")}
        ready = "notify"
        [service.away]
        ${command("double-forks")}
        stop.timeout = "300ms"`,
      });
      await Promise.all(["logs", "says"].map((service) => scene.ready(service)));
      await scene.line("away", /left \d+ behind/);
      const [logs, says] = [await scene.pid("logs"), await scene.pid("says")];
      const away = processesOf(scene, "away/1");
      const keeper = await killBoth(scene, [logs, says, ...away]);
      const { said } = await runAgain(scene, keeper);
      expect(said).toBe("what an earlier run has left was taken over: 3 workers, 0 sockets");
      expect([await scene.pid("logs"), await scene.pid("says")]).toEqual([logs, says]);
      process.kill(logs, "SIGUSR1");
      await scene.line("logs", /^SIGUSR1$/);
      appendFileSync(join(scene.directory, "say"), "STATUS=heard again\n");
      const status = async () => (await scene.service("says")).workers[0]?.statusText;
      await expect.poll(status, { timeout: 20_000, interval: 20 }).toBe("heard again");
      expect(await scene.act("away", "stop")).toMatchObject({ result: "done" });
      expect(processesOf(scene, "away/1")).toEqual([]);
    },
  );

  test("are ended and started anew where their socket cannot be had, or nobody wants them", async () => {
    const [port, other, lanes] = [await freePort(), await freePort(), await freePort()];
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}"]
        [socket.t]
        listen = ["tcp://${host}:${lanes}"]
        distribution = "steered"
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"
        [service.lanes]
        ${command("answers-pid")}
        sockets = ["t"]
        ready = "notify"
        [service.old]
        command = ["/bin/sleep", "1000"]`,
    });
    await Promise.all(["web", "lanes", "old"].map((service) => scene.ready(service)));
    const before = [await scene.pid("web"), await scene.pid("lanes"), await scene.pid("old")];
    const [web, laned, old] = before;
    const keeper = await killBoth(scene, before);
    const { file } = scene.holdfast;
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.slice(0, text.indexOf("[service.old]")).replace(`:${port}`, `:${other}`));
    const { said } = await runAgain(scene, keeper);
    expect(said).toContain(`web/1 (pid ${web}) was ended: no process has the socket tcp://${host}:${other}`);
    expect(said).toContain(`lanes/1 (pid ${laned}) was ended: socket t is steered`);
    expect(said).toContain(`old/1 (pid ${old}) was ended: there is no service old in the configuration`);
    await Promise.all(["web", "lanes"].map((service) => scene.ready(service)));
    expect(before.filter(isRunning)).toEqual([]);
    for (const [service, at] of [
      ["web", other],
      ["lanes", lanes],
    ] as const) {
      expect(processesOf(scene, `${service}/1`)).toEqual([await scene.pid(service)]);
      expect(Number(await ask({ host, port: at }))).toBe(await scene.pid(service));
    }
  });

  test("make room for successors where nobody can see that they serve", async () => {
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}"]
        [service.deaf]
        command = ["/bin/sleep", "1000"]
        sockets = ["s"]
        ready = { when = "spawned", settle = "0ms" }`,
    });
    await scene.ready("deaf");
    const pid = await scene.pid("deaf");
    const socket = readlinkSync(`/proc/${pid}/fd/3`);
    const keeper = await killBoth(scene, [pid]);
    const { said } = await runAgain(scene, keeper);
    expect(said).toBe("what an earlier run has left was taken over: 1 worker, 1 socket");
    await until("another worker", () => !isRunning(pid), { timeoutMs: 20_000 });
    await scene.ready("deaf");
    expect(readlinkSync(`/proc/${await scene.pid("deaf")}/fd/3`)).toBe(socket);
  });
});
