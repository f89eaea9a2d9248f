import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { EventView } from "../../../src/daemon/control/api.js";
import { isRunning } from "../census.js";
import { type Scene, scenes } from "../scene.js";
import { anotherThan, counters, hasLibsystemd, hear, next, replaceSupervisor, say, saying } from "./saying.js";

const { start } = scenes();

async function main(scene: Scene) {
  const { workers, restarts, phase } = await scene.service("s");
  return { pid: workers[0]?.pid, startedAs: workers[0]?.startedAs, restarts, phase };
}

/** Its main process is another one than `before`, and nothing else has changed. */
async function movedFrom(scene: Scene, before: number): Promise<number> {
  await expect.poll(async () => (await main(scene)).pid, { timeout: 20_000 }).not.toBe(before);
  const now = await main(scene);
  expect(now).toMatchObject({ restarts: 0, phase: "ready" });
  return now.pid!;
}

/** Those of the supervisor of now. */
async function events(scene: Scene): Promise<readonly EventView[]> {
  return (await scene.holdfast.get("/v1/events?lines=100")).events;
}

const gone = (pid: number) => expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);

describe.skipIf(!hasLibsystemd)("a worker that names another main process", () => {
  test("goes on with it, whoever is replaced, and ends with it and not with the one before", async () => {
    const scene = await start({ config: saying("", 'notify_access = "main"') });
    const { pid: first } = (await scene.event("worker-started", "s")).data as { pid: number };
    await say(scene, "become number go");
    await say(scene, "STATUS=said by the new one;READY=1");
    await scene.ready("s");
    const second = await movedFrom(scene, first);
    await gone(first);
    expect(await main(scene)).toMatchObject({ startedAs: first });
    expect((await scene.service("s")).statusText).toBe("said by the new one");
    expect((await scene.event("moved", "s")).data).toMatchObject({ pid: second });
    expect((await scene.holdfast.cli("status", "s")).stdout).toContain(`(started as pid ${first})`);

    await hear(scene, "become inode go");
    const third = await movedFrom(scene, second);
    await replaceSupervisor(scene);
    expect(await main(scene)).toMatchObject({ pid: third, startedAs: first, restarts: 0 });
    expect((await scene.holdfast.cli("self", "reexec")).code).toBe(0);
    await hear(scene, "become pidfd go");
    const fourth = await movedFrom(scene, third);
    await scene.holdfast.killKeeper();
    await scene.ready("s");
    expect(await main(scene)).toMatchObject({ pid: fourth, startedAs: first });
    await hear(scene, "become number go");
    const fifth = await movedFrom(scene, fourth);
    await gone(fourth);

    process.kill(fifth, "SIGKILL");
    const ended = async () => (await events(scene)).find(({ type }) => type === "worker-ended")?.data;
    await expect.poll(ended, { timeout: 20_000 }).toMatchObject({ pid: fifth, end: { kind: "signalled", signal: 9 } });
  });

  test("takes the one before along when it is stopped, where that stays", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    const first = await scene.pid("s");
    await hear(scene, "become pidfd stay");
    const second = await movedFrom(scene, first);
    expect(readFileSync(`/proc/${second}/stat`, "latin1").split(") ")[1]!.split(" ")[1]).toBe(String(first));
    // The new one's parent reaps nothing, and its end is seen all the same.
    await next(scene, () => process.kill(second, "SIGTERM"));
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ pid: second, end: { kind: "signalled", signal: 15 } });
    expect(isRunning(first)).toBe(false);
  });

  test("is believed after the end of whoever said so, also if no supervisor was there to hear it", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    const first = await scene.pid("s");
    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGSTOP");
    await say(scene, "become number go");
    await gone(first);
    process.kill(supervisor, "SIGKILL");
    await anotherThan(scene, supervisor);
    const second = await movedFrom(scene, first);
    await hear(scene, "STATUS=here");
    expect(await main(scene)).toEqual({ pid: second, startedAs: first, restarts: 0, phase: "ready" });
  });

  test("keeps its own where it names one that is not to be had", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    const before = await main(scene);
    const others = [1, scene.holdfast.keeperPid!, await scene.supervisorPid(), 4_194_304];
    await hear(scene, ...others.map((pid) => `MAINPID=${pid}`), "MAINPIDFD=1", `MAINPID=${before.pid}`);
    expect(await counters(scene)).toMatchObject({ "notify-mainpid-refused": others.length + 1 });
    expect(await main(scene)).toEqual(before);
  });
});
