/** The wall clock is set by a day, to and fro: nothing that is waited for comes earlier or later, and what is shown follows. */
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { command } from "../integration/fixture.js";
import { type Scene, scenes } from "../integration/scene.js";

const { start } = scenes();
const DAY_S = 86_400;
const compiled = join(import.meta.dirname, "../../build/fixtures");
const library = join(compiled, "jumping-clock.so");

beforeAll(() => {
  mkdirSync(compiled, { recursive: true });
  const unfinished = `${library}.${process.pid}`;
  const flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", unfinished];
  execFileSync(process.env.CC ?? "cc", [...flags, join(import.meta.dirname, "jumping-clock.c")], { stdio: "inherit" });
  renameSync(unfinished, library);
});

/** Holdfast with a clock that `set` moves from where it really is, in seconds; its workers have the machine's. */
async function startAt(config: string): Promise<{ scene: Scene; set: (seconds: number) => void }> {
  let file = "";
  const scene = await start({
    config,
    prefix: ["sh", "-c", `LD_PRELOAD="${library}" JUMPING_CLOCK="$PWD/clock" exec "$@"`, "sh"],
    prepare: (directory) => {
      file = join(directory, "clock");
      writeFileSync(file, Buffer.alloc(8));
    },
  });
  const set = (seconds: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    writeFileSync(file, bytes, { flag: "r+" });
  };
  return { scene, set };
}

describe("a wall clock that is set", () => {
  test("back by a day holds up neither starts nor the ends of stops", { timeout: 60_000 }, async () => {
    const { scene, set } = await startAt(`
      [service.crashes]
      ${command("exits-with", "1")}
      restart = { backoff = { initial = "300ms", max = "300ms" }, limit = { starts = 10000, interval = "1s" } }
      [service.other]
      command = ["/bin/sleep", "1000"]
      ready = { when = "spawned", settle = "0ms" }
      [service.stubborn]
      ${command("ignores-term")}
      stop.timeout = "300ms"`);
    await scene.ready("stubborn");
    const from = await scene.now();
    const stopped = scene.act("stubborn", "stop");
    const [delayed] = await Promise.all([
      scene.event("start-delayed", "crashes", from),
      scene.event("stopping", "stubborn", from),
    ]);
    set(-DAY_S);
    expect(await stopped).toMatchObject({ result: "done" });
    // Two: what was delayed before the clock was set, and what was after.
    const first = await scene.event("worker-started", "crashes", delayed.sequence);
    const second = await scene.event("worker-started", "crashes", first.sequence);
    // It is a day earlier there, and later all the same.
    expect(Date.parse(delayed.at) - Date.parse(second.at)).toBeGreaterThan((DAY_S * 1_000) / 2);
    expect(await secondsSinceStart(scene, "other", -DAY_S)).toBeLessThan(DAY_S / 2);
    expect(await scene.holdfast.get("/v1/supervisor")).toMatchObject({ starts: 1 });
  });

  test("forward by a day cuts nothing short: time-outs, pauses, watchdogs", { timeout: 60_000 }, async () => {
    const port = await freePort();
    const { scene, set } = await startAt(`
      [socket.s]
      listen = ["tcp://127.0.0.1:${port}"]
      [service.web]
      ${command("waits-in-epoll", "1")}
      sockets = ["s"]
      watchdog = "1h"
      [service.slow]
      ${command("never-ready")}
      ready = { when = "notify", timeout = "1h" }
      [service.next]
      command = ["/bin/sleep", "1000"]
      ready = { when = "spawned", settle = "0ms" }`);
    await Promise.all(["web", "next"].map((service) => scene.ready(service)));
    const pids = async () => Promise.all(["web", "slow"].map((service) => scene.holdfast.workerPids(service)));
    const before = await pids();
    await scene.holdfast.run("pause", "s", "--max", "1h");
    set(DAY_S);
    // Whatever had come due would have been done by then.
    for (let turn = 0; turn < 3; turn += 1) expect(await scene.restart("next")).toMatchObject({ result: "done" });
    expect(await pids()).toEqual(before);
    expect((await scene.service("slow")).phase).toBe("starting");
    expect(await scene.socket("s")).toMatchObject({ pausedUntil: expect.any(String) });
    expect(await secondsSinceStart(scene, "web", DAY_S)).toBeLessThan(DAY_S / 2);
    await scene.holdfast.run("resume", "s");
    expect(await scene.holdfast.get("/v1/supervisor")).toMatchObject({ starts: 1 });
    expect(scene.events.filter(({ type }) => /watchdog|timeout/.test(type))).toEqual([]);
  });
});

/** By the clock that Holdfast has. */
async function secondsSinceStart(scene: Scene, service: string, off: number): Promise<number> {
  const { workers } = await scene.service(service);
  return Math.abs((Date.now() - Date.parse(workers[0]!.startedAt!)) / 1_000 + off);
}
