import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { isRunning } from "../census.js";
import { scenes } from "../scene.js";
import { everything, keeperOf, programOf, startsLater, words } from "./scene-of-everything.js";

const { start } = scenes();
const build = join(import.meta.dirname, "../../../build/Release/holdfast-keeper");

describe("a keeper that was re-executed", () => {
  test("has a successor of the program that it had become, which can be re-executed with what it has adopted", {
    timeout: 60_000,
  }, async () => {
    const { scene } = await everything(start);
    const next = join(scene.directory, "holdfast-keeper");
    copyFileSync(build, next);
    expect(await scene.holdfast.reExec(next)).toMatchObject({ result: "done" });
    const workers = await scene.holdfast.workerPids("web");

    const { keeperDeath } = await scene.holdfast.killKeeper();
    expect(keeperDeath).toMatch(/took over 3 workers and 2 sockets in \d+ ms$/);
    const keeper = keeperOf(scene);
    expect(programOf(keeper)).toBe(next);
    expect(words(keeper)).not.toContain("--take-over");
    expect(await scene.holdfast.workerPids("web")).toEqual(workers);

    expect(await scene.holdfast.reExec(build)).toMatchObject({ result: "done", reExecs: 1 });
    expect(programOf(keeper)).toBe(build);
    expect(await scene.holdfast.workerPids("web")).toEqual(workers);
    await startsLater(scene);

    // The end of one that was adopted before is met after it.
    process.kill(workers[0]!, "SIGKILL");
    await until("another worker in its place", async () => {
      const ready = (await scene.service("web")).workers.filter(({ phase }) => phase === "ready");
      return ready.length === 2 && ready.every(({ pid }) => pid !== workers[0]);
    });

    // Once more, with arguments of both.
    expect((await scene.holdfast.killKeeper()).keeperDeath).toMatch(/took over 4 workers and 2 sockets/);
    expect(programOf(keeperOf(scene))).toBe(build);
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    await until("the end of who was adopted twice", () => !workers.some(isRunning));
  });
});
