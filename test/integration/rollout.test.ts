import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { startLoad } from "../../bench/load.mjs";
import type { EventView } from "../../src/daemon/control/api.js";
import { ask } from "./ask.js";
import { isRunning } from "./census.js";
import { command, fixture } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";
import { replaceWorker } from "./worker-file.js";

const { start } = scenes();
const host = "127.0.0.1";

interface Served {
  readonly scene: Scene;
  readonly port: number;
}

interface Options {
  readonly more?: string;
  readonly ready?: string;
  readonly program?: string;
  readonly distribution?: "shared" | "steered";
}

async function serve({ more = "", ready = '"notify"', program, distribution = "steered" }: Options): Promise<Served> {
  const port = await freePort();
  const scene = await start({
    config: `
    [socket.s]
    listen = ["tcp://${host}:${port}"]
    distribution = "${distribution}"
    [service.web]
    ${program ?? 'command = ["./worker"]'}
    sockets = ["s"]
    ready = ${ready}
    ${more}`,
    prepare: (directory) => replaceWorker({ directory }, "answers-pid"),
  });
  await scene.ready("web");
  return { scene, port };
}

/** Requests at a fixed rate, and the pids that answered; `stop` expects that none has failed. */
function requests(port: number) {
  const pids: number[] = [];
  const load = startLoad({
    target: { host, port },
    protocol: "line",
    rate: 200,
    onAnswer: (body: string) => pids.push(Number(body)),
  });
  return {
    pids,
    answered: (more: number) => {
      const wanted = pids.length + more;
      return until(`${more} more are answered`, () => pids.length >= wanted);
    },
    stop: async () => {
      const { failed, outcomes, errors } = await load.stop();
      expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    },
  };
}

/** How many of so many new connections this worker answers. */
async function shareOf(pid: number, port: number, count: number): Promise<number> {
  let share = 0;
  for (let asked = 0; asked < count; asked += 20) {
    const pids = await Promise.all(Array.from({ length: 20 }, () => ask({ host, port })));
    share += pids.filter((answer) => Number(answer) === pid).length;
  }
  return share;
}

/** Open as long as their tests, so that no line is lost between two readers. */
const gates: number[] = [];
afterEach(() => {
  for (const gate of gates.splice(0)) closeSync(gate);
});

/** The next versions wait before they run, until the returned function lets so many go on: those that wait, or the next ones that do. */
async function gated({ directory }: Scene): Promise<(count: number) => void> {
  const path = join(directory, "gate");
  execFileSync("mkfifo", [path]);
  const gate = openSync(path, "r+");
  gates.push(gate);
  await replaceWorker({ directory }, "waits-for-line", path, ...fixture("answers-pid"));
  // Lines of one byte, so that each is read by one of them.
  return (count) => writeSync(gate, "\n".repeat(count));
}

async function successors(scene: Scene): Promise<number> {
  const { workers } = await scene.service("web");
  return workers.filter(({ role }) => role === "successor").length;
}

function happened(scene: Scene, from: number, ...types: readonly string[]): EventView[] {
  return scene.events.filter(({ sequence, type }) => sequence > from && types.includes(type));
}

describe("a rollout", () => {
  test("with surge = 2 has two successors on their way at a time, and never more", async () => {
    const { scene, port } = await serve({ more: "workers = 3\nrollout = { surge = 2 }" });
    const before = await scene.holdfast.workerPids("web");
    const open = await gated(scene);
    const from = await scene.now();
    const asking = requests(port);
    const restarting = scene.restart("web");
    await until("two are on their way", async () => (await successors(scene)) === 2);
    expect(await scene.service("web")).toMatchObject({ ready: 3, phase: "restarting" });
    open(2); // Both go on, and the third begins to wait.
    await until("the third is on its way", async () => (await successors(scene)) === 1);
    open(1);
    expect(await restarting).toMatchObject({ result: "done", receipt: { longestUnreadyMs: 0 } });
    await asking.stop();
    await scene.event("restarted", "web", from);
    let onTheirWay = 0;
    const counts = happened(scene, from, "worker-started", "worker-ready").map(({ type }) => {
      onTheirWay += type === "worker-started" ? 1 : -1;
      return onTheirWay;
    });
    expect(Math.max(...counts)).toBe(2);
    expect(before.filter(isRunning)).toEqual([]);
  });

  test("with unavailable = 1 and surge = 0 stops each worker before its successor starts, while the others serve", async () => {
    const { scene, port } = await serve({ more: "workers = 2\nrollout = { surge = 0, unavailable = 1 }" });
    const from = await scene.now();
    const asking = requests(port);
    await asking.answered(20);
    expect(await scene.restart("web")).toMatchObject({ result: "done", receipt: { longestUnreadyMs: 0 } });
    await asking.stop();
    await scene.event("restarted", "web", from);
    const order = happened(scene, from, "draining", "worker-ended", "worker-started", "worker-ready");
    expect(order.map(({ instance, type }) => `${instance} ${type}`)).toEqual(
      [1, 2].flatMap((slot) =>
        ["draining", "worker-ended", "worker-started", "worker-ready"].map((type) => `web/${slot} ${type}`),
      ),
    );
  });

  test("with a pause waits between one instance and the next", async () => {
    const { scene } = await serve({ more: 'workers = 2\nrollout = { pause = "400ms" }' });
    const from = await scene.now();
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    await scene.event("restarted", "web", from);
    const [first] = happened(scene, from, "worker-ready");
    const [, second] = happened(scene, from, "worker-started");
    expect(Date.parse(second!.at) - Date.parse(first!.at)).toBeGreaterThanOrEqual(399);
  });

  test("to a version that binds a port of its own is rolled back in time, and what ran goes on", async () => {
    const { scene, port } = await serve({ ready: '{ when = "auto", timeout = "700ms" }' });
    const before = await scene.pid("web");
    await replaceWorker(scene, "listens-elsewhere");
    const { code, stderr } = await scene.holdfast.cli("rollout", "web");
    expect({ code, stderr }).toMatchObject({ code: 152, stderr: expect.stringMatching(/rolled back/) });
    expect(Number(await ask({ host, port }))).toBe(before);
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{ pid: before }] });
    expect(await scene.holdfast.run("why", "web")).toMatch(/\| listening on port \d+/);
  });
});

describe("a canary", () => {
  test("gets its share of new connections, takes over when it is promoted, and no request fails", async () => {
    const { scene, port } = await serve({ more: "workers = 2" });
    const before = await scene.holdfast.workerPids("web");
    const asking = requests(port);
    expect(await scene.holdfast.cli("rollout", "web", "--canary", "20%")).toMatchObject({ code: 0 });
    const view = await scene.service("web");
    expect(view).toMatchObject({ phase: "canary", ready: 2, next: expect.stringContaining("20 %") });
    const canary = view.workers.find(({ role }) => role === "successor")!.pid!;
    // Of 400 at 20 % it is within these borders but for one of ten million runs.
    const share = await shareOf(canary, port, 400);
    expect(share).toBeGreaterThan(40);
    expect(share).toBeLessThan(125);
    expect((await scene.holdfast.workerPids("web")).sort()).toEqual(before.sort());

    expect(await scene.holdfast.cli("rollout", "web", "--promote")).toMatchObject({ code: 0 });
    await asking.answered(20);
    await asking.stop();
    const after = await scene.holdfast.workerPids("web");
    expect(after).toContain(canary);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{}, {}] });
  });

  test("gets another share when it is asked for once more, and nothing once it is sent away", async () => {
    const { scene, port } = await serve({});
    const before = await scene.pid("web");
    const asking = requests(port);
    const canaryWith = (percent: number) => scene.holdfast.act("web", { action: "canary", percent });
    expect(await canaryWith(10)).toMatchObject({ result: "done" });
    const { workers } = await scene.service("web");
    const canary = workers.find(({ role }) => role === "successor")!.pid!;
    expect(await canaryWith(90)).toMatchObject({ result: "done" });
    expect(await shareOf(canary, port, 100)).toBeGreaterThan(50);
    expect(await scene.holdfast.act("web", { action: "abort" })).toMatchObject({ result: "done" });
    expect(isRunning(canary)).toBe(false);
    expect(await shareOf(before, port, 40)).toBe(40);
    await asking.stop();
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{ pid: before }] });
    expect(await scene.holdfast.act("web", { action: "abort" })).toMatchObject({ result: "unchanged" });
    expect(await scene.holdfast.act("web", { action: "promote" })).toMatchObject({ result: "unchanged" });
  });

  test("that crashes is gone, and the others serve all", async () => {
    const { scene, port } = await serve({});
    const before = await scene.pid("web");
    await scene.holdfast.act("web", { action: "canary", percent: 50 });
    const { workers } = await scene.service("web");
    const canary = workers.find(({ role }) => role === "successor")!.pid!;
    const from = await scene.now();
    process.kill(canary, "SIGKILL");
    expect(await scene.event("rolled-back", "web", from)).toMatchObject({ instance: "web/1" });
    expect(await shareOf(before, port, 40)).toBe(40);
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{ pid: before }] });
    expect(await scene.holdfast.run("why", "web")).toContain("SIGKILL");
  });

  test("whose version does not start is rolled back, and the command says why", async () => {
    const { scene, port } = await serve({});
    const before = await scene.pid("web");
    await replaceWorker(scene, "exits-with", "3");
    const { code, stderr } = await scene.holdfast.cli("rollout", "web", "--canary", "5%");
    expect({ code, stderr }).toMatchObject({ code: 152, stderr: expect.stringContaining("exited with code 3") });
    expect(await shareOf(before, port, 20)).toBe(20);
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{ pid: before }] });
  });

  test("is refused where all workers share a socket, and the refusal says what it needs", async () => {
    const { scene } = await serve({ distribution: "shared" });
    const before = await scene.pid("web");
    const { code, stderr } = await scene.holdfast.cli("rollout", "web", "--canary", "5%");
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('distribution = "steered"') });
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{ pid: before }] });
  });

  test("outlives the supervisor, with its share", async () => {
    const { scene, port } = await serve({});
    await scene.holdfast.act("web", { action: "canary", percent: 50 });
    const { workers } = await scene.service("web");
    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGKILL");
    await until("another one answers", async () => (await scene.holdfast.answers()).pid !== supervisor);
    const canary = workers.find(({ role }) => role === "successor")!.pid!;
    const share = await shareOf(canary, port, 100);
    expect(share).toBeGreaterThan(20);
    expect(share).toBeLessThan(80);
    expect(await scene.holdfast.act("web", { action: "promote" })).toMatchObject({ result: "done" });
    expect(await scene.pid("web")).toBe(canary);
  });
});

describe("a command while another is in progress", () => {
  test("takes its place, the earlier one is told so, and no request fails", async () => {
    const { scene, port } = await serve({ more: "workers = 2" });
    const asking = requests(port);
    await asking.answered(10);
    const open = await gated(scene);
    const first = scene.restart("web");
    await until("its successor is on its way", async () => (await successors(scene)) === 1);
    const second = scene.restart("web");
    expect(await first).toMatchObject({ result: "superseded" });
    await until("another successor is on its way", async () => (await successors(scene)) === 1);
    await replaceWorker(scene, "answers-pid");
    const scaled = scene.holdfast.act("web", { action: "scale", workers: 3 });
    expect(await second).toMatchObject({ result: "superseded" });
    open(1);
    expect(await scaled).toMatchObject({ result: "done" });
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    await asking.answered(10);
    await asking.stop();
    expect(await scene.service("web")).toMatchObject({ phase: "ready", ready: 3, workers: [{}, {}, {}] });
  });

  test("is one of ten restarts in a row: the last is done, no worker is left over, and no request fails", async () => {
    const { scene, port } = await serve({ program: command("answers-pid") });
    const asking = requests(port);
    await asking.answered(10);
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => scene.restart("web")));
    const results = outcomes.map(({ result }) => result);
    expect(results.filter((result) => result === "done")).toHaveLength(1);
    expect(results.filter((result) => result === "superseded")).toHaveLength(9);
    await asking.answered(10);
    await asking.stop();
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{ role: "current" }] });
  });
});
