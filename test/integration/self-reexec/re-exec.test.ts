import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { startLoad } from "../../../bench/load.mjs";
import { scenes } from "../scene.js";
import {
  everything,
  inventory,
  keeperOf,
  logLines,
  programOf,
  startsLater,
  trialOf,
  view,
  waits,
} from "./scene-of-everything.js";

const { start } = scenes();
const times = 10;

describe("a keeper that is re-executed", () => {
  test("ten times in a row under load keeps pid, workers, sockets and armed starts, and no request fails", {
    timeout: 90_000,
  }, async () => {
    const { scene, port } = await everything(start);
    const before = await inventory(scene);
    const load = startLoad({ target: { host: "127.0.0.1", port }, rate: 300 });
    const kept = startLoad({ target: { host: "127.0.0.1", port }, rate: 100, connections: "kept", path: "/slow" });
    for (let i = 1; i <= times; i++) {
      expect(await scene.holdfast.reExec()).toMatchObject({ result: "done", reExecs: i });
      expect(await inventory(scene)).toEqual(before);
    }
    for (const { answered, failed, outcomes } of [await load.stop(), await kept.stop()]) {
      expect({ failed, outcomes }).toMatchObject({ failed: 0 });
      expect(answered).toBeGreaterThan(0);
    }
    expect((await view(scene)).keeper).toMatchObject({ reExecs: times, reExecutedAt: expect.any(String) });
    expect((await view(scene)).starts).toBe(1);
    await startsLater(scene);
    await scene.restart("web"); // Valves, drains and spawns through the keeper of now.
    await load.done;
  });

  test("tells of the ends of workers that meet it", async () => {
    const { scene } = await everything(start);
    for (let i = 0; i < times; i++) {
      const from = await scene.now();
      const [victim] = await scene.holdfast.workerPids("web");
      const done = scene.holdfast.reExec();
      process.kill(victim!, "SIGKILL");
      expect(await done).toMatchObject({ result: "done" });
      const { data } = await scene.event("worker-ended", "web", from);
      expect(data).toMatchObject({ pid: victim, end: { kind: "signalled", signal: 9 } });
      await scene.holdfast.act("web", { action: "reset" });
      await scene.ready("web");
    }
  });

  test("goes on as the program that has taken the place of its own", async () => {
    const build = join(import.meta.dirname, "../../../build/Release/holdfast-keeper");
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-keeper-")));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const installed = join(folder, "holdfast-keeper");
    copyFileSync(build, installed);
    const { scene } = await everything(start, { env: { HOLDFAST_KEEPER_PATH: installed } });
    const before = await inventory(scene);
    copyFileSync(build, `${installed}.new`);
    renameSync(`${installed}.new`, installed);
    expect(programOf(keeperOf(scene))).toBe(`${installed} (deleted)`);

    const { stdout } = await scene.holdfast.cli("self", "reexec");
    expect(stdout).toMatch(new RegExp(`^the keeper \\(pid ${keeperOf(scene)}\\) was re-executed in \\d+ ms;`));
    expect(programOf(keeperOf(scene))).toBe(installed);
    expect(statSync(`/proc/${keeperOf(scene)}/exe`).ino).toBe(statSync(installed).ino);
    expect(await scene.holdfast.run("self", "status")).toMatch(/^re-execs +1, the last one .* ago/m);
    expect(await scene.holdfast.run("self", "reexec", "--to", build)).toContain("was re-executed");
    expect(programOf(keeperOf(scene))).toBe(build);
    expect(await inventory(scene)).toEqual(before);
  });
});

describe("a supervisor that is killed", () => {
  test("at any moment of a re-exec leaves a keeper that goes on with it, and the next one takes over", {
    timeout: 60_000,
  }, async () => {
    const { scene } = await everything(start);
    const candidate = waits(scene);
    const keeper = keeperOf(scene);
    const gate = join(scene.directory, "gate");
    const before = await inventory(scene);
    const own = programOf(keeper);
    const next = async (killed: number) => {
      await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== killed);
      expect(await view(scene)).toMatchObject({ previousEnd: "was killed by SIGKILL" });
      expect(await inventory(scene)).toMatchObject({ workers: before.workers });
    };
    const moments: ((killed: number) => Promise<unknown>)[] = [
      // During the trial; it goes on while nobody is attached, and then while somebody else is.
      async (killed) => {
        process.kill(killed, "SIGKILL");
        writeFileSync(gate, "");
      },
      async (killed) => {
        process.kill(killed, "SIGKILL");
        await next(killed);
        writeFileSync(gate, "");
      },
      // When it is the other program already.
      async (killed) => {
        writeFileSync(gate, "");
        await until("the other program", () => programOf(keeper) === candidate, { everyMs: 0 });
        process.kill(killed, "SIGKILL");
      },
    ];
    for (const moment of moments) {
      rmSync(gate, { force: true });
      const supervisor = await scene.supervisorPid();
      const asked = scene.holdfast.reExec(candidate).catch(() => undefined);
      await until("the trial", () => trialOf(keeper) !== undefined);
      await moment(supervisor);
      await asked;
      await until("the other program", () => programOf(keeper) === candidate);
      await next(supervisor);
      expect(await scene.holdfast.reExec(own)).toMatchObject({ result: "done" });
      expect((await inventory(scene)).descriptors).toBe(before.descriptors);
    }
    expect((await view(scene)).keeper.reExecs).toBe(2 * moments.length);
    await startsLater(scene);
  });

  test("right after a re-exec leaves the log of its workers whole", async () => {
    const { scene } = await everything(start);
    const log = join(scene.directory, "loud.log");
    const worker = await scene.pid("loud");
    expect(await scene.holdfast.reExec()).toMatchObject({ result: "done" });
    process.kill(await scene.supervisorPid(), "SIGKILL");
    process.kill(worker, "SIGUSR1");
    const whole = Array.from({ length: logLines }, (_, line) => `${String(line).padStart(63, "0")}\n`).join("");
    await until("the log", () => readFileSync(log, "latin1").endsWith(whole.slice(-64)));
    expect(readFileSync(log, "latin1")).toBe(`waiting\n${whole}`);
  });
});
