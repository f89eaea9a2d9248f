import { describe, expect, test } from "vitest";
import { isRunning } from "./census.js";
import { command } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

/** The pid that the worker left behind, from its log. */
async function leftBehind(scene: Scene, service: string): Promise<number> {
  const { text } = await scene.line(service, /^left \d+ behind$/);
  return Number(/\d+/.exec(text)?.[0]);
}

describe("a worker that is stopped", () => {
  test("and ignores the signal is killed when the stop timeout has passed, and its child with it", async () => {
    const scene = await start({
      config: `
        [service.stubborn]
        ${command("ignores-term")}
        stop.timeout = "400ms"`,
    });
    await scene.line("stubborn", /running as/);
    const pid = await scene.pid("stubborn");
    scene.holdfast.remember();
    const outcome = await scene.act("stubborn", "stop");

    expect(outcome).toMatchObject({ result: "done" });
    expect(outcome.durationMs).toBeGreaterThanOrEqual(400);
    expect(isRunning(pid)).toBe(false);
    await scene.event("stop-timeout", "stubborn");
    expect((await scene.event("worker-ended", "stubborn")).data).toMatchObject({
      end: { kind: "signalled", signal: 9 },
      forced: true,
    });
    expect(scene.holdfast.left().filter(({ name }) => name === "sleep")).toEqual([]);
  });

  test("with a timeout of nothing is killed at once", async () => {
    const scene = await start({
      config: `
        [service.stubborn]
        ${command("ignores-term")}
        stop = { signal = "SIGTERM", timeout = "0s" }`,
    });
    await scene.line("stubborn", /running as/);
    expect(await scene.act("stubborn", "stop")).toMatchObject({ result: "done" });
    expect((await scene.event("worker-ended", "stubborn")).data).toMatchObject({ end: { signal: 9 } });
  });

  test("and left a grandchild in a session of its own takes it along", async () => {
    const scene = await start({
      config: `
        [service.forks]
        ${command("double-forks")}
        stop.timeout = "400ms"`,
    });
    const grandchild = await leftBehind(scene, "forks");
    const worker = await scene.pid("forks");
    expect(isRunning(grandchild)).toBe(true);

    expect(await scene.act("forks", "stop")).toMatchObject({ result: "done" });
    expect({ worker: isRunning(worker), grandchild: isRunning(grandchild) }).toEqual({
      worker: false,
      grandchild: false,
    });
    expect((await scene.event("worker-ended", "forks")).data).toMatchObject({ forced: true });
  });

  test("is asked by the signal that is configured", async () => {
    const scene = await start({
      config: `
        [service.signals]
        ${command("logs-signals")}
        stop = { signal = "SIGUSR2", timeout = "400ms" }`,
    });
    await scene.line("signals", /watching/);
    await scene.act("signals", "stop");
    await scene.line("signals", /^SIGUSR2$/); // Which it survives, so that SIGKILL comes.
    expect((await scene.event("worker-ended", "signals")).data).toMatchObject({ end: { signal: 9 }, forced: true });
  });
});

describe("a worker that ends by itself and leaves a child behind", () => {
  test.each([0, 1])("with exit code %d: the child is killed before the next worker starts", async (code) => {
    const scene = await start({
      config: `
        [service.leaves]
        ${command("leaves-child", String(code))}
        ready = "spawned"
        restart.backoff = { initial = "1h", max = "1h" }
        stop.timeout = "300ms"`,
    });
    const ended = await scene.event("worker-ended", "leaves");
    const child = await leftBehind(scene, "leaves");
    expect(isRunning(child)).toBe(false);
    expect(ended.data).toMatchObject({ end: { kind: "exited", code } });
    const next = await scene.event("worker-started", "leaves", ended.sequence);
    expect(next.sequence).toBeGreaterThan(ended.sequence);
  });

  test("without a restart: the child is killed all the same", async () => {
    const scene = await start({
      config: `
        [service.leaves]
        ${command("leaves-child", "0")}
        restart = "never"`,
    });
    await scene.event("halted", "leaves");
    expect(isRunning(await leftBehind(scene, "leaves"))).toBe(false);
    expect(await scene.service("leaves")).toMatchObject({ phase: "stopped", workers: [] });
  });
});

test("with stop.kill = mixed what a worker leaves behind is killed at once when it has ended, and not asked first", async () => {
  const scene = await start({
    config: `
      [service.leaves]
      command = ["/bin/sh", "-c", "trap '' TERM; sleep 3600 & trap - TERM; echo left $! behind; exec sleep 3600"]
      ready = "spawned"
      stop = { kill = "mixed", timeout = "1h" }`,
  });
  const child = await leftBehind(scene, "leaves");
  expect(isRunning(child)).toBe(true);
  expect((await scene.act("leaves", "stop")).result).toBe("done");
  expect(isRunning(child)).toBe(false);
});
