import { execFileSync } from "node:child_process";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { startLoad } from "../../bench/load.mjs";
import { ask, connect } from "./ask.js";
import { descriptorCount, isRunning, noMoreThan } from "./census.js";
import { command, fixture } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";
import { replaceWorker } from "./worker-file.js";

const { start } = scenes();
const host = "127.0.0.1";

function server(port: number, more: string, program = command("answers-pid")): string {
  return `
    [socket.s]
    listen = ["tcp://${host}:${port}"]
    [service.web]
    ${program}
    sockets = ["s"]
    ${more}`;
}

/** Requests at a fixed rate, and the pids that answered, in order. */
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
    answered: (count: number) => expect.poll(() => pids.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(count),
    stop: () => load.stop(),
  };
}

describe("a rolling restart under requests", () => {
  test.each([
    ["READY=1", 'ready = "notify"'],
    ["a line on READY_FD", 'ready = "newline"'],
    ["having lived for a while", 'ready = { when = "spawned", settle = "150ms" }'],
  ])("fails none, with a successor that is ready by %s", async (_, ready) => {
    const port = await freePort();
    const scene = await start({ config: server(port, ready) });
    await scene.ready("web");
    const before = await scene.pid("web");
    const from = await scene.now();
    const asking = requests(port);
    await asking.answered(20);
    for (let i = 0; i < 3; i++) expect(await scene.restart("web")).toMatchObject({ result: "done" });
    await asking.answered(asking.pids.length + 20);
    const { failed, outcomes, errors } = await asking.stop();

    expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    expect(asking.pids[0]).toBe(before);
    expect(asking.pids.at(-1)).toBe(await scene.pid("web"));
    const order = scene.events.filter(({ sequence }) => sequence > from).map(({ type }) => type);
    const one = ["worker-started", "worker-ready", "draining", "stopping", "worker-ended", "restarted"];
    expect(order).toEqual([...one, ...one, ...one]);
  });

  test("of three workers replaces one after the other", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port, 'ready = "notify"\nworkers = 3') });
    await scene.ready("web");
    const before = await scene.holdfast.workerPids("web");
    const from = await scene.now();
    const asking = requests(port);
    await asking.answered(20);
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    const { failed, outcomes, errors } = await asking.stop();

    expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    const after = await scene.holdfast.workerPids("web");
    expect(after).toHaveLength(3);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    const handovers = scene.events
      .filter(({ sequence, type }) => sequence > from && (type === "worker-ready" || type === "draining"))
      .map(({ type, instance }) => `${instance} ${type}`);
    expect(handovers).toEqual([1, 2, 3].flatMap((slot) => [`web/${slot} worker-ready`, `web/${slot} draining`]));
  });

  test("thirty times leaves no descriptor and no worker behind", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port, 'ready = "notify"') });
    await scene.ready("web");
    const supervisor = await scene.supervisorPid();
    const census = () => [descriptorCount(scene.holdfast.keeperPid!), descriptorCount(supervisor)];
    for (let i = 0; i < 3; i++) await scene.restart("web");
    const before = census();
    for (let i = 0; i < 30; i++) expect(await scene.restart("web")).toMatchObject({ result: "done" });
    await expect.poll(census).toEqual(noMoreThan(before));
    expect(await scene.service("web")).toMatchObject({ restarts: 33, workers: [{ role: "current" }] });
  });
});

describe("a restart whose successor takes its time", () => {
  test("leaves the predecessor in service until the successor is ready", async () => {
    const port = await freePort();
    const scene = await start({
      config: server(port, 'ready = "notify"', 'command = ["./worker"]'),
      prepare: (directory) => replaceWorker({ directory }, "answers-pid"),
    });
    await scene.ready("web");
    const before = await scene.pid("web");
    const gate = join(scene.directory, "gate");
    execFileSync("mkfifo", [gate]);
    await replaceWorker(scene, "waits-for-line", gate, ...fixture("answers-pid"));
    const from = await scene.now();
    const restarting = scene.restart("web");
    await scene.event("worker-started", "web", from);

    expect(await ask({ host, port })).toBe(`${before}\n`);
    expect(await scene.service("web")).toMatchObject({
      phase: "restarting",
      ready: 1,
      workers: [
        { role: "current", phase: "ready", pid: before },
        { role: "successor", phase: "starting" },
      ],
    });
    expect(scene.events.filter(({ type }) => type === "draining" || type === "stopping")).toEqual([]);
    await writeFile(gate, "go on\n");
    expect(await restarting).toMatchObject({ result: "done" });
    expect(await ask({ host, port })).toBe(`${await scene.pid("web")}\n`);
    expect(isRunning(before)).toBe(false);
  });

  test("is superseded by a stop, after which nothing runs", async () => {
    const port = await freePort();
    const scene = await start({
      config: server(port, 'ready = "notify"', 'command = ["./worker"]'),
      prepare: (directory) => replaceWorker({ directory }, "answers-pid"),
    });
    await scene.ready("web");
    await replaceWorker(scene, "never-ready");
    const from = await scene.now();
    const restarting = scene.restart("web");
    await scene.event("worker-started", "web", from);

    expect(await scene.act("web", "stop")).toMatchObject({ result: "done" });
    expect(await restarting).toMatchObject({ result: "superseded" });
    expect(await scene.service("web")).toMatchObject({ phase: "stopped", workers: [] });
  });
});

/** How a new version can be broken, and what `why` says of it. */
const breakages: Record<string, { breaks: (scene: Scene) => Promise<void>; why: readonly RegExp[] }> = {
  "that exits": {
    breaks: (scene) => replaceWorker(scene, "exits-with", "3"),
    why: [/exited with code 3/, /\| about to exit with 3/],
  },
  "that never becomes ready": {
    breaks: (scene) => replaceWorker(scene, "never-ready"),
    why: [/not become ready in time/, /\| still preparing/],
  },
  "that may not be executed": {
    breaks: ({ directory }) => chmod(join(directory, "worker"), 0o644),
    why: [/permission denied/, /EACCES/],
  },
  "that is missing": {
    breaks: ({ directory }) => rm(join(directory, "worker")),
    why: [/worker/, /no such file/, /ENOENT/],
  },
  "that is no program": {
    breaks: ({ directory }) => writeFile(join(directory, "worker"), "\u0000 nothing that a kernel knows"),
    why: [/exec format error/, /ENOEXEC/],
  },
  "whose working directory is missing": {
    breaks: ({ directory }) => rm(join(directory, "home"), { recursive: true }),
    why: [/no such file or directory/, /working_directory/, /ENOENT/],
  },
  "whose environment file is missing": {
    breaks: ({ directory }) => rm(join(directory, "web.env")),
    why: [/web\.env/, /does not exist/, /ENOENT/],
  },
};

describe("a restart to a version", () => {
  test.each(Object.entries(breakages))("%s is rolled back, and the one before goes on", async (_, { breaks, why }) => {
    const port = await freePort();
    const scene = await start({
      config: server(
        port,
        'ready = { when = "notify", timeout = "500ms" }\nworking_directory = "home"\nenv_files = ["web.env"]',
        'command = ["../worker"]',
      ),
      prepare: prepareVersion,
    });
    await scene.ready("web");
    const before = await scene.pid("web");
    await breaks(scene);
    const asking = requests(port);
    const { code, stderr } = await scene.holdfast.cli("restart", "web");
    const { failed, outcomes, errors } = await asking.stop();

    expect({ code, stderr }).toMatchObject({ code: 152, stderr: expect.stringMatching(/rolled back/) });
    expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    expect(await ask({ host, port })).toBe(`${before}\n`);
    expect(await scene.service("web")).toMatchObject({ phase: "ready", workers: [{ pid: before, role: "current" }] });
    const explanation = await scene.holdfast.run("why", "web");
    for (const pattern of why) expect(explanation).toMatch(pattern);
  });
});

describe("holdfast restart --hard", () => {
  test("stops first; who connects in between waits and is answered by the new worker", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port, 'ready = "notify"') });
    await scene.ready("web");
    const before = await scene.pid("web");
    const from = await scene.now();
    const asking = requests(port);
    await asking.answered(10);
    expect(await scene.restart("web", true)).toMatchObject({ result: "done" });
    await asking.answered(asking.pids.length + 10);
    const { failed, outcomes, errors } = await asking.stop();

    expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    expect(new Set(asking.pids)).toEqual(new Set([before, await scene.pid("web")]));
    const order = scene.events.filter(({ sequence }) => sequence > from).map(({ type }) => type);
    expect(order).toEqual(["stopping", "worker-ended", "worker-started", "worker-ready", "restarted"]);
  });
});

describe("a service that is stopped", () => {
  test("keeps its socket, and answers at its next start what connected meanwhile", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port, 'ready = "notify"') });
    await scene.ready("web");
    await scene.holdfast.run("stop", "web");
    const waiting = await Promise.all([1, 2, 3].map(() => connect({ host, port })));
    expect(await scene.socket("s")).toMatchObject({ bound: true, queued: 3 });

    await scene.holdfast.run("start", "web");
    const answers = await Promise.all(waiting.map(({ answer }) => answer));
    expect(new Set(answers)).toEqual(new Set([`${await scene.pid("web")}\n`]));
  });
});

describe("holdfast scale", () => {
  test("adds workers that serve, and takes away those that are too many", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port, 'ready = "notify"') });
    await scene.ready("web");
    const [first] = await scene.holdfast.workerPids("web");
    await scene.holdfast.run("scale", "web=4");
    const four = await scene.holdfast.workerPids("web");
    expect(four).toHaveLength(4);
    expect(four[0]).toBe(first);
    expect(await scene.service("web")).toMatchObject({ phase: "ready", instances: 4, ready: 4 });

    const asking = requests(port);
    await asking.answered(20);
    await scene.holdfast.run("scale", "web=1");
    expect(await asking.stop()).toMatchObject({ failed: 0 });
    expect(four.filter(isRunning)).toEqual([first]);
    expect(await scene.service("web")).toMatchObject({ phase: "ready", instances: 1, ready: 1 });
  });
});

describe("a signal of the operator", () => {
  const config = `
    [service.signals]
    ${command("logs-signals")}
    ready = "spawned"
    reload = { signal = "SIGHUP" }
    [service.plain]
    ${command("logs-signals")}
    ready = "spawned"`;

  test("reaches the worker, which stays: reload by its name in the configuration, any other by holdfast signal", async () => {
    const scene = await start({ config });
    await scene.line("signals", /watching/);
    const before = await scene.pid("signals");
    await scene.holdfast.run("reload", "signals");
    await scene.line("signals", /^SIGHUP$/);
    await scene.holdfast.run("signal", "signals", "USR1");
    await scene.line("signals", /^SIGUSR1$/);
    expect(await scene.pid("signals")).toBe(before);
  });

  test("is refused where reload is not configured, with what to do instead", async () => {
    const scene = await start({ config });
    await scene.line("plain", /watching/);
    const { code, stderr } = await scene.holdfast.cli("reload", "plain");
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("reload =") });
  });
});

async function prepareVersion(directory: string): Promise<void> {
  await replaceWorker({ directory }, "answers-pid");
  await mkdir(join(directory, "home"));
  await writeFile(join(directory, "web.env"), "COLOUR=green\n");
}
