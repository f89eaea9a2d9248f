import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { scenes } from "../scene.js";
import { anotherThan, hasLibsystemd, hear, say, saying, shown } from "./saying.js";

const { start } = scenes();

describe.skipIf(!hasLibsystemd)("a worker with a watchdog", () => {
  test("is told how often, and is aborted when it is silent", async () => {
    const scene = await start({ config: saying("READY=1", 'watchdog = "700ms"') });
    const { watchdog, env } = await shown(scene);
    expect(watchdog).toBe(700_000); // As sd_watchdog_enabled(3) reads WATCHDOG_USEC and WATCHDOG_PID.
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "signalled", signal: 6 }, reason: "watchdog", forced: false });
    expect(env.WATCHDOG_PID).toBe(String((ended.data as { pid: number }).pid));
    const { lastFailure } = await scene.service("s");
    expect(lastFailure).toMatchObject({ code: "watchdog", signal: "SIGABRT" });
  });

  test("that cannot even be aborted is killed after the stop timeout", async () => {
    const scene = await start({ config: saying("READY=1", 'watchdog = "4s"\nstop.timeout = "300ms"') });
    await scene.ready("s");
    const pid = await scene.pid("s");
    process.kill(pid, "SIGSTOP");
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "signalled", signal: 9 }, reason: "watchdog", forced: true, pid });
  });

  test("lives on while it feeds it, and changes it itself", async () => {
    const scene = await start({ config: saying("READY=1", 'watchdog = "1500ms"') });
    await scene.ready("s");
    await say(scene, "feed 10 0.4");
    await expect.poll(() => existsSync(join(scene.directory, "fed")), { timeout: 20_000 }).toBe(true);
    await hear(scene, "WATCHDOG_USEC=600000000");
    expect(await scene.service("s")).toMatchObject({ restarts: 0, phase: "ready" });
    await say(scene, "WATCHDOG_USEC=1000");
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "signalled", signal: 6 }, reason: "watchdog" });
  });

  test("or without one is aborted when it asks for that", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    await say(scene, "WATCHDOG=trigger");
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "signalled", signal: 6 }, reason: "watchdog" });
  });

  test("is not aborted for the time in which nobody heard it", async () => {
    const scene = await start({ config: saying("READY=1", 'watchdog = "2s"') });
    await scene.ready("s");
    const before = await scene.supervisorPid();
    process.kill(before, "SIGSTOP"); // Longer than the worker's watchdog allows, and not as long as its own.
    await say(scene, "feed 8 0.4");
    await expect.poll(() => existsSync(join(scene.directory, "fed")), { timeout: 20_000 }).toBe(true);
    process.kill(before, "SIGKILL");
    await anotherThan(scene, before);
    await hear(scene, "WATCHDOG=1");
    expect(await scene.service("s")).toMatchObject({ restarts: 0, phase: "ready" });
  });
});
