import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createConnection, type NetConnectOpts, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setImmediate as otherEvents, setTimeout as pace } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import type { Outcome, WorkerView } from "../../src/daemon/control/api.js";
import { isRunning } from "./census.js";
import { command } from "./fixture.js";
import { askHttp, askMany, HttpClient } from "./http-client.js";
import { type Scene, scenes } from "./scene.js";
import { socketCount } from "./valve/valve-scene.js";

const { start } = scenes();

/** A worker with one socket that is ready, and how to get a connection to it. */
interface Served {
  readonly scene: Scene;
  readonly to: NetConnectOpts;
  readonly before: number;
}

async function serve(
  program: string,
  more = "",
  { where, uid }: { readonly where?: "unix"; readonly uid?: number } = {},
): Promise<Served> {
  const port = await freePort();
  const config = (listen: string): string => `
    [socket.s]
    listen = ["${listen}"]
    [service.web]
    ${program}
    sockets = ["s"]
    ${more}`;
  const scene = await start({
    config: config(where === "unix" ? "unix://./web.sock" : `tcp://127.0.0.1:${port}`),
    prepare: (directory) => {
      execFileSync("mkfifo", [join(directory, "gate")]);
      if (uid !== undefined) for (const path of [directory, join(directory, "gate")]) chownSync(path, uid, uid);
    },
    ...(uid === undefined ? {} : { prefix: as(uid), env: { HOME: "/nonexistent" } }),
  });
  await scene.ready("web");
  const to = where === "unix" ? { path: join(scene.directory, "web.sock") } : { host: "127.0.0.1", port };
  return { scene, to, before: await scene.pid("web") };
}

/** The words that run a program as a user that has no name and no rights. */
function as(uid: number): string[] {
  return ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
}

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("SKIPPED: to drain as another user needs root to set it up");

const http = command("serves-http", "gate");

/** Lets the requests for `/wait` be answered. */
function openGate({ directory }: Scene): Promise<void> {
  return writeFile(join(directory, "gate"), "go on\n");
}

/** The retiring worker once it drains, with so many connections in flight: its valve is closed then. */
function draining(scene: Scene, inFlight: number): Promise<WorkerView> {
  return until(`a worker drains with ${inFlight} in flight`, async () => {
    const { workers } = await scene.service("web");
    return workers.find((worker) => worker.phase === "draining" && worker.inFlight === inFlight);
  });
}

/** What the receipt says of the only worker that has retired. */
function retired({ receipt }: Outcome) {
  expect(receipt?.retired).toHaveLength(1);
  return receipt!.retired[0]!;
}

/** A connection that the worker has accepted, with what was sent to it; after `hold` it waits for a second line. */
async function accepted(
  { to, before }: Served,
  line: "hold\n" | "gate\n",
): Promise<{ readonly socket: Socket; readonly answer: Promise<number> }> {
  const sockets = socketCount({ pids: [before] });
  const socket = createConnection({ ...to, allowHalfOpen: true });
  await once(socket, "connect");
  socket.write(line);
  await until("it is accepted", () => socketCount({ pids: [before] }) > sockets);
  return { socket, answer: text(socket).then(Number) };
}

async function askLine(to: NetConnectOpts): Promise<number> {
  const socket = createConnection(to);
  socket.write("ask\n");
  return Number(await text(socket));
}

describe("a request in flight at a restart", () => {
  test.each([
    ["tcp", undefined],
    ["a unix socket", "unix" as const],
  ])(
    "is answered by Node over %s, which handles no signal, and what is new goes to the successor",
    async (_, where) => {
      const { scene, to, before } = await serve(http, "", where === undefined ? {} : { where });
      const client = await HttpClient.connect(to);
      expect(await client.ask()).toBe(before);
      const slow = client.ask("/wait");
      const restarting = scene.restart("web");
      expect(await draining(scene, 1)).toMatchObject({ role: "retiring", pid: before, valve: "epoll" });

      const after = await scene.pid("web");
      expect(await askMany(to, 40)).toEqual(new Set([after]));
      await openGate(scene);
      expect(await slow).toBe(before);
      client.close();
      const outcome = await restarting;
      expect(outcome.result).toBe("done");
      expect(retired(outcome)).toMatchObject({ valve: "epoll", drained: 1, cut: 0, forced: false });
      expect(outcome.receipt).toMatchObject({ longestUnreadyMs: 0, started: [{ instance: "web/1" }] });
      expect(isRunning(before)).toBe(false);
    },
  );

  test("is answered by Python's event loop, which handles no signal", async () => {
    const served = await serve(command("answers-in-asyncio"));
    const { scene, to, before } = served;
    const { socket, answer } = await accepted(served, "hold\n");
    const restarting = scene.restart("web");
    await draining(scene, 1);
    const after = await scene.pid("web");
    for (let i = 0; i < 40; i++) expect(await askLine(to)).toBe(after);
    socket.write("go\n");
    expect(await answer).toBe(before);
    expect(retired(await restarting)).toMatchObject({ valve: "epoll", drained: 1, cut: 0 });
  });

  test("is answered although its client has ended its own side", async () => {
    const served = await serve(command("answers-in-asyncio", "gate"));
    const { scene, before } = served;
    const { socket, answer } = await accepted(served, "gate\n");
    socket.end();
    const restarting = scene.restart("web");
    await draining(scene, 1);
    await openGate(scene);
    expect(await answer).toBe(before);
    expect(retired(await restarting)).toMatchObject({ drained: 1, cut: 0 });
  });

  test("is cut once drain.timeout has passed, and the receipt says so", async () => {
    const { scene, to } = await serve(http, 'drain = { timeout = "200ms" }');
    const client = await HttpClient.connect(to);
    await client.ask();
    const slow = client.ask("/wait");
    slow.catch(() => {});
    const { code, stdout } = await scene.holdfast.cli("restart", "web");
    await expect(slow).rejects.toThrow("no answer to /wait");
    expect(code).toBe(0);
    expect(stdout).toMatch(/web\/1 worker 1: valve epoll, 0 connections drained in .*, 1 connection cut/);
    expect(scene.events.map(({ type }) => type)).toContain("drain-timeout");
    client.close();
  });

  test.runIf(isRoot)("is answered where nobody of Holdfast has any right", async () => {
    const uid = 64123;
    const { scene, to, before } = await serve(http, "", { uid });
    for (const pid of [scene.holdfast.keeperPid!, before]) expect(statSync(`/proc/${pid}`).uid).toBe(uid);
    const client = await HttpClient.connect(to);
    await client.ask();
    const slow = client.ask("/wait");
    const restarting = scene.restart("web");
    expect(await draining(scene, 1)).toMatchObject({ pid: before, valve: "epoll" });
    expect(await askMany(to, 20)).toEqual(new Set([await scene.pid("web")]));
    await openGate(scene);
    expect(await slow).toBe(before);
    client.close();
    expect(retired(await restarting)).toMatchObject({ valve: "epoll", drained: 1, cut: 0 });
  });

  test("goes on although the supervisor is killed", async () => {
    const { scene, to, before } = await serve(http);
    const client = await HttpClient.connect(to);
    await client.ask();
    const slow = client.ask("/wait");
    const restarting = scene.restart("web").catch(() => {});
    await draining(scene, 1);
    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGKILL");
    await restarting;
    await until("another supervisor answers", async () => {
      const { pid } = await scene.holdfast.answers();
      return pid !== supervisor;
    });
    expect(await draining(scene, 1)).toMatchObject({ pid: before, valve: "epoll" });
    expect(await askMany(to, 20)).toEqual(new Set([await scene.pid("web")]));
    await openGate(scene);
    expect(await slow).toBe(before);
    client.close();
    await until("the old worker is gone", () => !isRunning(before));
    await until("its end is known", async () => (await scene.service("web")).workers.length === 1);
  });
});

describe("a kept-alive connection of a worker that retires", () => {
  test("is not waited for when it is idle", async () => {
    const { scene, to } = await serve(http, 'drain = { idle = "20ms" }');
    const client = await HttpClient.connect(to);
    await client.ask();
    const outcome = await scene.restart("web");
    expect(retired(outcome)).toMatchObject({ cut: 0, drainMs: expect.toSatisfy((ms) => ms < 5_000) });
    expect(await client.closed).toBe("end");
    client.close();
  });

  test("is waited for when that is asked for, silent as it is", async () => {
    const { scene, to, before } = await serve(http, 'drain = { wait_for = "connections", idle = "0s" }');
    const client = await HttpClient.connect(to);
    await client.ask();
    const restarting = scene.restart("web");
    await draining(scene, 1);
    expect(await client.ask()).toBe(before);
    expect(await draining(scene, 1)).toMatchObject({ pid: before });
    client.close();
    expect(retired(await restarting)).toMatchObject({ drained: 1, cut: 0 });
  });

  test("is closed between two requests when it is never idle for long, and its client goes on with the successor", async () => {
    const { scene, to, before } = await serve(http, 'drain = { timeout = "200ms" }');
    let client = await HttpClient.connect(to);
    const pids: number[] = [];
    let going = true;
    const asking = (async () => {
      while (going) {
        pids.push(await client.ask());
        await pace(40);
        await otherEvents(); // An end that has come meanwhile is seen before the next request goes out.
        if (!client.isClosed) continue;
        client.close();
        client = await HttpClient.connect(to);
      }
    })();
    await until("it asks", () => pids.length > 2);
    const outcome = await scene.restart("web");
    const after = await scene.pid("web");
    await until("the successor answers", () => pids.at(-1) === after);
    going = false;
    await asking;
    client.close();
    expect(retired(outcome)).toMatchObject({ drained: 0, closed: 1, cut: 0, forced: false });
    expect(pids).toEqual([...pids.filter((pid) => pid === before), ...pids.filter((pid) => pid === after)]);
  });
});

describe("a worker without a valve", () => {
  test("that blocks in accept is stopped by its signal alone, and status and receipt say why", async () => {
    const { scene, before } = await serve(command("blocks", "accept"));
    const why = `\\(?python3, pid ${before}, waits in accept4?\\(2\\)\\)`;
    expect((await scene.service("web")).workers[0]?.valve).toMatch(new RegExp(`^signal ${why}$`));
    expect(await scene.holdfast.run("status", "web")).toMatch(new RegExp(`signal ${why}`));
    const { stdout } = await scene.holdfast.cli("restart", "web");
    expect(stdout).toMatch(new RegExp(`no valve ${why}, so the stop signal was all it got`));
  });

  test("by configuration gets its signal at once", async () => {
    const { scene, to } = await serve(http, 'drain = "signal"');
    const client = await HttpClient.connect(to);
    await client.ask();
    const slow = client.ask("/wait");
    slow.catch(() => {});
    expect((await scene.service("web")).workers).toMatchObject([{ valve: 'signal (drain.when = "signal")' }]);
    expect(retired(await scene.restart("web"))).toMatchObject({ valve: "none", drainMs: 0, drained: 0, cut: 0 });
    await expect(slow).rejects.toThrow();
    expect(scene.events.map(({ type }) => type)).not.toContain("draining");
    client.close();
  });
});

describe("a worker that adds its socket to its epoll set while it drains", () => {
  test("is noticed and kept from new connections again", async () => {
    const served = await serve(command("waits-in-epoll", "1", "threads,adds-again"));
    const { scene, to, before } = served;
    const { socket, answer } = await accepted(served, "hold\n");
    const restarting = scene.restart("web");
    await draining(scene, 1);
    const after = await scene.pid("web");
    process.kill(before, "SIGUSR1");
    await until("it is noticed", () => scene.holdfast.output.includes("waits for new connections again"));
    await until("its valve is closed", async () => {
      const pids = new Set<number>();
      for (let i = 0; i < 20; i++) pids.add(await askLine(to));
      return pids.size === 1 && pids.has(after);
    });
    socket.write("go\n");
    expect(await answer).toBe(before);
    expect(retired(await restarting)).toMatchObject({ valve: "epoll", cut: 0 });
  });
});

describe("a service that is stopped", () => {
  test("drains as well, and who comes meanwhile waits for the next start", async () => {
    const { scene, to, before } = await serve(http);
    const client = await HttpClient.connect(to);
    await client.ask();
    const slow = client.ask("/wait");
    const stopping = scene.act("web", "stop");
    await draining(scene, 1);
    const later = askHttp(to);
    await openGate(scene);
    expect(await slow).toBe(before);
    client.close();
    expect(await stopping).toMatchObject({ result: "done" });
    await scene.act("web", "start");
    expect(await later).toBe(await scene.pid("web"));
  });
});
