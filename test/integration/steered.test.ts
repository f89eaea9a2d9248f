import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { startLoad } from "../../bench/load.mjs";
import { ask, connect } from "./ask.js";
import { descriptorCount, isRunning, noMoreThan } from "./census.js";
import { command, fixture } from "./fixture.js";
import { HttpClient } from "./http-client.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();
const host = "127.0.0.1";

function steered(port: number, program: string, more = "", scheme: "tcp" | "udp" = "tcp"): string {
  return `
    [socket.s]
    listen = ["${scheme}://${host}:${port}"]
    distribution = "steered"
    [service.web]
    ${program}
    sockets = ["s"]
    ${more}`;
}

const blocking = command("serves-http-blocking");
/** Says that it is ready, answers a connection with its pid, unasked. */
const quick = command("answers-pid");

/** Connections that say nothing, each in the queue of a worker that is busy. */
function knock(port: number, count: number): Promise<{ answer: Promise<string> }[]> {
  return Promise.all(Array.from({ length: count }, () => connect({ host, port })));
}

/** Connections that ask for nothing yet. The first of them that is accepted keeps the worker busy, which serves one after the other. */
function silent(port: number, count: number): Promise<HttpClient[]> {
  return Promise.all(Array.from({ length: count }, () => HttpClient.connect({ host, port })));
}

async function queued(scene: Scene, count: number): Promise<void> {
  await until(`${count} wait`, async () => (await scene.socket("s")).queued === count);
}

/** Each of them was answered with this pid, or with that of somebody. */
async function answers(asked: readonly { answer: Promise<string> }[]): Promise<number[]> {
  return (await Promise.all(asked.map(({ answer }) => answer))).map(Number);
}

function isWithin(some: readonly number[], all: readonly number[]): boolean {
  return some.every((one) => all.includes(one));
}

/** Requests at a fixed rate. */
function requests(port: number, rate: number, protocol: "http" | "line") {
  const pids: number[] = [];
  const load = startLoad({
    target: { host, port },
    protocol,
    rate,
    slow: { every: 20, path: "/slow" },
    onAnswer: (body: string) => pids.push(Number(body)),
  });
  return {
    pids,
    answered: (more: number) => {
      const wanted = pids.length + more;
      return until(`${more} more are answered`, () => pids.length >= wanted);
    },
    /** Expects that every single one was answered. */
    stop: async () => {
      const { failed, outcomes, errors } = await load.stop();
      expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    },
  };
}

describe("workers that block in accept behind a steered socket", () => {
  test("lose no request of new connections over restarts, and none of them is reset", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, blocking, "workers = 2") });
    await scene.ready("web");
    expect((await scene.service("web")).workers).toMatchObject([{ valve: "steered" }, { valve: "steered" }]);
    const before = await scene.holdfast.workerPids("web");
    const asking = requests(port, 100, "http");
    await asking.answered(30);
    for (let i = 0; i < 2; i++) {
      const { result, receipt } = await scene.restart("web");
      expect(result).toBe("done");
      expect(receipt?.retired).toMatchObject([
        { valve: "steered", cut: 0, forced: false },
        { valve: "steered", cut: 0, forced: false },
      ]);
    }
    await asking.answered(30);
    await asking.stop();
    expect(isWithin(asking.pids.slice(0, 20), before)).toBe(true);
    expect(before.filter(isRunning)).toEqual([]);
  });

  test("go on to be steered by the next supervisor", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, blocking, "workers = 2") });
    await scene.ready("web");
    const supervisor = await scene.supervisorPid();
    const asking = requests(port, 100, "http");
    await asking.answered(20);
    process.kill(supervisor, "SIGKILL");
    await until("another one answers", async () => (await scene.holdfast.answers()).pid !== supervisor);
    expect(await scene.restart("web")).toMatchObject({
      result: "done",
      receipt: {
        retired: [
          { valve: "steered", cut: 0 },
          { valve: "steered", cut: 0 },
        ],
      },
    });
    await asking.answered(20);
    await asking.stop();
    expect(new Set(asking.pids.slice(-20))).toEqual(new Set(await scene.holdfast.workerPids("web")));
  });
});

describe("connections in the queue of one worker", () => {
  test("are served by the one that replaces it after a crash", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, blocking) });
    await scene.ready("web");
    const before = await scene.pid("web");
    const [busy] = await silent(port, 1);
    await queued(scene, 0);
    const waiting = await silent(port, 5);
    await queued(scene, 5);
    process.kill(before, "SIGKILL");
    expect(await busy?.closed).toBe("end");
    const pids = new Set(await Promise.all(waiting.map((client) => client.ask())));
    expect(pids).toEqual(new Set([await scene.pid("web")]));
    expect(pids.has(before)).toBe(false);
    for (const client of [busy!, ...waiting]) client.close();
  });

  test("are served by a successor there when the worker is killed at the stop timeout", async () => {
    const port = await freePort();
    // It does not end of that signal, and its first connection says nothing.
    const more = 'stop = { signal = "SIGCONT", timeout = "100ms" }\ndrain = { timeout = "100ms" }';
    const scene = await start({ config: steered(port, blocking, more) });
    await scene.ready("web");
    const before = await scene.pid("web");
    const [busy] = await silent(port, 1);
    await queued(scene, 0);
    const waiting = await silent(port, 3);
    await queued(scene, 3);
    const outcome = await scene.restart("web");
    expect(outcome).toMatchObject({
      result: "done",
      receipt: { retired: [{ valve: "steered", cut: 1, forced: true }] },
    });
    expect(await busy?.closed).toBe("end");
    const pids = await Promise.all(waiting.map((client) => client.ask()));
    expect(pids.includes(before)).toBe(false);
    for (const client of [busy!, ...waiting]) client.close();
    expect(scene.events.map(({ type }) => type)).toContain("stranded");
    await scene.ready("web");
  });
});

describe("a service that is stopped behind a steered socket", () => {
  test("has connections wait, and serves them once it is started", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, quick, 'workers = 2\nready = "notify"') });
    await scene.ready("web");
    await scene.act("web", "stop");
    const waiting = await knock(port, 8);
    await queued(scene, 8);
    await scene.act("web", "start");
    const pids = await scene.holdfast.workerPids("web");
    expect(isWithin(await answers(waiting), pids)).toBe(true);
    // And what is new goes to both.
    await until("both are asked", async () => {
      const asked = await answers(await knock(port, 16));
      return new Set(asked).size === 2 && isWithin(asked, pids);
    });
  });
});

describe("a service that is scaled under requests", () => {
  test("loses none, on the way up and down", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, quick, 'ready = "notify"') });
    await scene.ready("web");
    const census = async () => [
      descriptorCount(scene.holdfast.keeperPid!),
      descriptorCount(await scene.supervisorPid()),
    ];
    const asking = requests(port, 200, "line");
    const to = async (workers: number) => {
      expect(await scene.holdfast.act("web", { action: "scale", workers })).toMatchObject({ result: "done" });
      // What was on its way before is answered by whom it had reached.
      const answering = async () => {
        await asking.answered(40);
        return new Set(asking.pids.slice(-40)).size;
      };
      await expect.poll(answering, { timeout: 20_000, interval: 0 }).toBe(workers);
      expect(await scene.socket("s")).toMatchObject({ queued: expect.any(Number) });
    };
    await to(3);
    await to(1);
    await asking.answered(10);
    const before = await census();
    await to(3);
    await to(1);
    await asking.stop();
    await expect.poll(census).toEqual(noMoreThan(before));
  });
});

describe("a steered port of both families", () => {
  test("is bound in both, and neither takes the other for somebody else's", async () => {
    const port = await freePort();
    const scene = await start({
      config: `
      [socket.s]
      listen = ["tcp://0.0.0.0:${port}", "tcp://[::]:${port}"]
      ipv6_only = true
      distribution = "steered"
      [service.web]
      ${quick}
      sockets = ["s"]
      workers = 2
      ready = "notify"`,
    });
    await scene.ready("web");
    expect(Number(await ask({ host, port }))).toBeGreaterThan(1);
    const { sockets } = (await scene.holdfast.get("/v1/sockets")) as { sockets: object[] };
    expect(sockets).toMatchObject([
      { bound: true, lanes: 2 },
      { bound: true, lanes: 2 },
    ]);
    expect(scene.events.filter(({ type }) => type.startsWith("socket-"))).toEqual([]);
  });
});

describe("a process of the same user that joins the group of a steered socket", () => {
  test("is reported with its pid at the next change", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, quick, 'ready = "notify"') });
    await scene.ready("web");
    const [program, ...args] = fixture("joins-group", String(port));
    const stranger = spawn(program!, args, { stdio: ["pipe", "pipe", "inherit"] });
    await once(stranger.stdout, "data");
    await scene.restart("web");
    const { message } = await until("it is reported", () => scene.events.find(({ type }) => type === "socket-shared"));
    expect(message).toContain(`${host}:${port}`);
    expect(message).toContain(String(stranger.pid));
    const ended = once(stranger, "exit");
    stranger.stdin.end();
    await ended;
    await scene.restart("web");
    expect(Number(await ask({ host, port }))).toBe(await scene.pid("web"));
    expect(scene.events.filter(({ type }) => type === "socket-shared")).toHaveLength(1);
  });
});

describe("an echo of datagrams behind a steered socket", () => {
  test("gives every one of them back over restarts", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, command("echoes-datagrams"), "workers = 2", "udp") });
    await scene.ready("web");
    const client = createSocket("udp4");
    const missing = new Set<number>();
    let sent = 0;
    client.on("message", (message) => missing.delete(Number(message)));
    await new Promise<void>((resolve) => client.connect(port, host, resolve));
    const timer = setInterval(() => {
      missing.add(sent);
      client.send(String(sent));
      sent += 1;
    }, 2);
    await until("they come back", () => sent - missing.size > 50);
    for (let i = 0; i < 2; i++) expect(await scene.restart("web")).toMatchObject({ result: "done" });
    const wanted = sent + 50;
    await until("more were sent", () => sent >= wanted);
    clearInterval(timer);
    await until("each has come back", () => missing.size === 0).catch(() => {});
    client.close();
    expect([...missing]).toEqual([]);
  });
});

async function applied(scene: Scene, text: string): Promise<void> {
  const { file } = scene.holdfast;
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
  expect(await scene.holdfast.cli("apply")).toMatchObject({ code: 0 });
}

describe("apply", () => {
  test("of a service to a socket that is older has what waits there answered, whatever lane it waits in", async () => {
    const port = await freePort();
    const scene = await start({ config: steered(port, quick, 'ready = "notify"') });
    await scene.ready("web");
    const before = readFileSync(scene.holdfast.file, "utf8");
    await applied(scene, before.slice(0, before.indexOf("[service.web]")));
    const [waiting] = await knock(port, 1);
    await queued(scene, 1);
    await applied(scene, before);
    expect(await waiting!.answer).toMatch(/^\d+\n$/);
  });

  test("adds a steered socket to a running service, and removes it, without a failed request", async () => {
    const [port, other] = [await freePort(), await freePort()];
    const scene = await start({ config: steered(port, quick, 'workers = 2\nready = "notify"') });
    await scene.ready("web");
    const before = readFileSync(scene.holdfast.file, "utf8");
    const asking = requests(port, 200, "line");
    await asking.answered(20);
    await applied(
      scene,
      before
        .replace('sockets = ["s"]', 'sockets = ["s", "t"]')
        .replace(
          "[service.web]",
          `[socket.t]\nlisten = ["tcp://${host}:${other}"]\ndistribution = "steered"\n[service.web]`,
        ),
    );
    const pids = await scene.holdfast.workerPids("web");
    await until("both are asked", async () => {
      const asked = await answers(await knock(other, 16));
      return new Set(asked).size === 2 && isWithin(asked, pids);
    });
    await applied(scene, before);
    await expect(ask({ host, port: other })).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await asking.answered(20);
    await asking.stop();
    expect(new Set(asking.pids.slice(-20))).toEqual(new Set(await scene.holdfast.workerPids("web")));
  });
});
