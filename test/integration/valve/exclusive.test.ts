import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { fixture } from "../fixture.js";
import { ValveScene } from "./valve-scene.js";

const EXCLUSIVE = "10000001";
const ROUNDS = 30;
const canStarve = existsSync("/usr/bin/chrt") && existsSync("/usr/bin/taskset") && availableParallelism() > 1;
if (!canStarve) console.warn("SKIPPED: starving a process needs chrt, taskset and two processors");

let scene: ValveScene;
let busy: ChildProcess | undefined;
afterEach(async () => {
  scene.close();
  if (busy === undefined) return;
  busy.kill("SIGKILL");
  await once(busy, "exit");
  busy = undefined;
});

/** It can be woken from now on, but hardly runs. */
function starve(pid: number): void {
  busy = spawn("taskset", ["-c", "0", process.execPath, "-e", "for (;;);"], { stdio: "ignore" });
  execFileSync("taskset", ["-cp", "0", String(pid)]);
  execFileSync("chrt", ["-ip", "0", String(pid)]);
}

describe("an exclusive registration that was woken and then closed", () => {
  test.skipIf(!canStarve)("leaves its connection to the others, once they are nudged", async () => {
    scene = await ValveScene.start("tcp");
    const old = await scene.worker(fixture("waits-in-epoll", EXCLUSIVE));
    const successor = await scene.worker(fixture("waits-in-epoll", EXCLUSIVE));
    const noted = (await scene.find(old)).registrations;
    const open = (await scene.find(successor)).registrations;
    starve(old.pids[0]!);
    for (let round = 0; round < ROUNDS; round += 1) {
      const answer = scene.ask();
      await scene.quiesce(noted);
      expect((await scene.nudge(open)).map(({ outcome }) => outcome)).toEqual(["done"]);
      expect([...old.pids, ...successor.pids]).toContain(await answer);
      await scene.resume(noted);
      await scene.nudge(open); // It waits behind the old one now, which is the next to be woken.
    }
    for (const worker of [old, successor]) {
      await scene.signal(worker, "SIGKILL");
      await scene.exited(worker);
    }
  });

  test("is not nudged where it is not exclusive, or closed", async () => {
    scene = await ValveScene.start("tcp");
    const worker = await scene.worker(fixture("waits-in-epoll", EXCLUSIVE));
    const { registrations } = await scene.find(worker);
    const others = registrations.flatMap((one) => [
      { ...one, events: 0x19 },
      { ...one, events: 0x18 },
    ]);
    expect((await scene.nudge(others)).map(({ outcome }) => outcome)).toEqual(["idle", "idle"]);
    expect((await scene.find(worker)).registrations).toEqual(registrations);
    await scene.signal(worker, "SIGTERM");
    await scene.exited(worker);
  });
});
