import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { gone } from "../../bench/lib/time-answer.mjs";
import type { EventView } from "../../src/daemon/control/api.js";
import { ask } from "../integration/ask.js";
import { fixture } from "../integration/fixture.js";
import { type Scene, scenes } from "../integration/scene.js";
import { readRecord } from "./record.js";

const { start } = scenes();

/** Three services, of which the third one waits an hour before it starts again. */
async function scene(): Promise<{ scene: Scene; port: number; record: string }> {
  const port = await freePort();
  let record = "";
  const service = (name: string, backoff: string): string => `
    [service.${name}]
    command = ["./worker", "./record"]
    sockets = ["s"]
    ready = "notify"
    start = "boot"
    restart = { backoff = { initial = "${backoff}", max = "1h" }, limit = { starts = 100, interval = "1s" } }`;
  const started = await start({
    config: `
      [socket.s]
      listen = ["tcp://127.0.0.1:${port}"]
      ${service("killed", "0ms")}
      ${service("exited", "0ms")}
      ${service("delayed", "1h")}`,
    prepare: async (directory) => {
      record = join(directory, "record");
      const { symlink } = await import("node:fs/promises");
      await symlink(fixture("records-itself")[0]!, join(directory, "worker"));
    },
  });
  for (const name of ["killed", "exited", "delayed"]) await started.ready(name);
  return { scene: started, port, record };
}

async function endedWith(scene: Scene, service: string): Promise<unknown[]> {
  const { events } = await scene.holdfast.get("/v1/events?lines=500");
  return events
    .filter((event: EventView) => event.type === "worker-ended" && event.service === service)
    .map(({ data }: EventView) => ({ end: data?.end, pid: data?.pid }));
}

/** Stops the supervisor so that it hears nothing, lets something happen, and kills it. Resolves once the next one answers. */
async function whileNobodyListens(scene: Scene, happen: () => Promise<void>): Promise<void> {
  const supervisor = await scene.supervisorPid();
  process.kill(supervisor, "SIGSTOP");
  await happen();
  process.kill(supervisor, "SIGKILL");
  await gone(supervisor);
  await scene.holdfast.answers();
}

describe("workers that end while no supervisor is there", () => {
  test("are reported with their true ends by the next one, and started again once", async () => {
    const { scene: holdfast, port, record } = await scene();
    const killed = await holdfast.pid("killed");
    const exited = await holdfast.pid("exited");
    await whileNobodyListens(holdfast, async () => {
      process.kill(killed, "SIGUSR1");
      process.kill(exited, "SIGUSR2");
      await Promise.all([gone(killed), gone(exited)]); // The keeper has reaped them.
    });
    await holdfast.ready("killed");
    await holdfast.ready("exited");

    expect(await endedWith(holdfast, "killed")).toEqual([
      { end: { kind: "signalled", signal: 9, core: false }, pid: killed },
    ]);
    expect(await endedWith(holdfast, "exited")).toEqual([{ end: { kind: "exited", code: 7 }, pid: exited }]);
    expect(await holdfast.service("killed")).toMatchObject({
      restarts: 1,
      lastFailure: { code: "killed", signal: "SIGKILL" },
    });
    expect(await holdfast.service("exited")).toMatchObject({
      restarts: 1,
      lastFailure: { code: "exited", exitCode: 7 },
    });
    expect(await holdfast.holdfast.run("why", "exited")).toMatch(/exited with code 7/);
    await ask({ host: "127.0.0.1", port });
    const starts = readRecord(record).filter(({ what }) => what === "start");
    expect(starts.map(({ instance, generation }) => `${instance} ${generation}`).sort()).toEqual([
      "delayed/1 1",
      "exited/1 1",
      "exited/1 2",
      "killed/1 1",
      "killed/1 2",
    ]);
  });

  test("twice, in two supervisors, are each reported to the one that was there", async () => {
    const { scene: holdfast } = await scene();
    for (const [signal, end] of [
      ["SIGUSR2", { kind: "exited", code: 7 }],
      ["SIGUSR1", { kind: "signalled", signal: 9, core: false }],
    ] as const) {
      const pid = await holdfast.pid("exited");
      await whileNobodyListens(holdfast, async () => {
        process.kill(pid, signal);
        await gone(pid);
      });
      await holdfast.ready("exited");
      expect(await endedWith(holdfast, "exited")).toEqual([{ end, pid }]);
    }
    expect((await holdfast.service("exited")).restarts).toBe(2);
  });
});

describe("a service that waits for its backoff", () => {
  test("goes on waiting under a new supervisor, which knows why", async () => {
    const { scene: holdfast, record } = await scene();
    for (const generation of [1, 2]) {
      // The first restart after a good life is at once.
      const from = await holdfast.now();
      process.kill(await holdfast.pid("delayed"), "SIGUSR2");
      await holdfast.event(generation === 1 ? "worker-ready" : "start-delayed", "delayed", from);
    }
    const before = await holdfast.service("delayed");
    expect(before.phase).toBe("backoff");
    await whileNobodyListens(holdfast, async () => {});

    const { phase, nextStartAt, lastFailure, restarts } = await holdfast.service("delayed");
    expect({ phase, restarts }).toEqual({ phase: "backoff", restarts: before.restarts });
    expect(lastFailure).toMatchObject({ code: "exited", exitCode: 7 });
    // Both are a wall time that was computed from a monotonic one, in whole milliseconds.
    expect(Math.abs(Date.parse(nextStartAt!) - Date.parse(before.nextStartAt!))).toBeLessThan(100);
    expect(readRecord(record).filter(({ what, service }) => what === "start" && service === "delayed")).toHaveLength(2);
  });
});
