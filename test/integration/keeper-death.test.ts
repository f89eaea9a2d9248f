import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readlinkSync, renameSync } from "node:fs";
import { createConnection } from "node:net";
import { describe, expect, test } from "vitest";
import { command as bin, freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { startLoad } from "../../bench/load.mjs";
import { ask } from "./ask.js";
import { isRunning, isSameStart, processesMarked } from "./census.js";
import { command } from "./fixture.js";
import { HttpClient } from "./http-client.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();
const host = "127.0.0.1";

function server(port: number, more = ""): string {
  return `
    [socket.s]
    listen = ["tcp://${host}:${port}"]
    [service.web]
    ${command("answers-pid")}
    sockets = ["s"]
    ready = "notify"
    ${more}`;
}

function loadOn(port: number) {
  const pids: number[] = [];
  const load = startLoad({
    target: { host, port },
    protocol: "line",
    rate: 200,
    onAnswer: (body: string) => pids.push(Number(body)),
  });
  const answered = (more: number): Promise<unknown> => {
    const wanted = pids.length + more;
    return until("answers", () => pids.length >= wanted, { timeoutMs: 20_000 });
  };
  return { answered, stop: () => load.stop() };
}

/** SIGKILL to the keeper; resolves with what is said of it. */
async function killKeeper(scene: Scene): Promise<string> {
  const { keeperDeath } = await scene.holdfast.killKeeper();
  return keeperDeath ?? "";
}

describe("a keeper that is killed", () => {
  test("takes no request, no worker and no socket with it, also a second time", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port, "workers = 2") });
    await scene.ready("web");
    const before = await scene.service("web");
    const pids = before.workers.map(({ pid }) => pid!);
    const socket = readlinkSync(`/proc/${pids[0]}/fd/3`);
    const asking = loadOn(port);
    await asking.answered(20);

    for (const count of [1, 2]) {
      const old = scene.holdfast.keeperPid;
      const said = await killKeeper(scene);
      expect(said).toMatch(/took over 2 workers and 1 socket in \d+ ms$/);
      expect(said).toContain(`the keeper (pid ${old}) was killed; a new one (pid ${scene.holdfast.keeperPid})`);
      expect(await scene.holdfast.get("/v1/supervisor")).toMatchObject({ keeperDeaths: count, starts: count + 1 });
      await asking.answered(20);
    }
    const { workers, restarts } = await scene.service("web");
    const known = ({ id, pid, phase }: (typeof workers)[number]) => ({ id, pid, phase });
    expect(workers.map(known)).toEqual(before.workers.map(known));
    expect(workers.every((worker, index) => isSameStart(worker, before.workers[index]!))).toBe(true);
    expect(restarts).toBe(0);
    expect(await scene.holdfast.run("self", "status")).toMatch(/keeper killed +2×, last: the keeper/);
    expect(scene.holdfast.output.match(/"event":"keeper-replaced"/g)).toHaveLength(2);

    // What comes after is as ever.
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    expect(readlinkSync(`/proc/${(await scene.holdfast.workerPids("web"))[0]}/fd/3`)).toBe(socket);
    await asking.answered(20);
    expect(await asking.stop()).toMatchObject({ failed: 0 });
    expect(pids.filter(isRunning)).toEqual([]);
  });

  test("changes nothing of what was armed, stopped, paused or given to workers", async () => {
    const [armed, paused] = [await freePort(), await freePort()];
    const scene = await start({
      config: `
        [socket.armed]
        listen = ["tcp://${host}:${armed}"]
        [socket.paused]
        listen = ["tcp://${host}:${paused}"]
        [service.waits]
        ${command("answers-pid")}
        sockets = ["armed"]
        start = "connection"
        [service.rests]
        command = ["/bin/sleep", "1000"]
        [service.held]
        ${command("waits-in-epoll", "1")}
        sockets = ["paused"]`,
    });
    await scene.ready("held");
    await scene.act("rests", "stop");
    await scene.holdfast.run("pause", "paused");
    await killKeeper(scene);

    expect((await scene.service("rests")).phase).toBe("stopped");
    expect((await scene.service("waits")).phase).toBe("waiting");
    const client = createConnection({ host, port: paused });
    let answer = "";
    client.on("data", (bytes) => {
      answer += bytes;
    });
    client.write("who?\n");
    await once(client, "connect");
    expect(Number(await ask({ host, port: armed }))).toBe(await scene.pid("waits"));
    expect(answer).toBe("");
    await scene.holdfast.run("resume", "paused");
    await until("the answer", () => answer !== "");
    expect(Number(answer)).toBe(await scene.pid("held"));
    client.destroy();
  });

  test("loses no exit status: a worker that ends with it is started again, once", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port) });
    await scene.ready("web");
    const [keeper, worker] = [scene.holdfast.keeperPid!, await scene.pid("web")];
    process.kill(keeper, "SIGKILL");
    process.kill(worker, "SIGKILL");
    await scene.holdfast.succeeded(keeper);
    await scene.ready("web");
    expect(Number(await ask({ host, port }))).toBe(await scene.pid("web"));
    expect((await scene.service("web")).restarts).toBe(1);
    expect(scene.holdfast.output).toContain(`web/1 (pid ${worker}) was killed by SIGKILL`);
  });

  test("loses no line of what workers write", async () => {
    const program = `import sys, time
for number in range(1, 100000):
    for part in ("n ", str(number), "\\n"):
        sys.stdout.write(part)
        sys.stdout.flush()
    time.sleep(0.01)`;
    const scene = await start({
      config: `[service.counts]\ncommand = ["/usr/bin/python3", "-I", "-S", "-c", ${JSON.stringify(program)}]`,
    });
    const lines = (): string[] =>
      scene.holdfast.output
        .split("\n")
        .filter((line) => line.includes('"stream":"stdout"') && line.endsWith("}"))
        .map((line) => JSON.parse(line).msg);
    await until("lines", () => lines().length > 30);
    await killKeeper(scene);
    const before = lines().length;
    await until("lines of the next supervisor", () => lines().length > before + 30);
    const all = lines();
    expect(all).toEqual(all.map((_, index) => `n ${index + 1}`));
  });

  test("does not keep its workers from giving their connections to successors", async () => {
    const to = { host, port: await freePort() };
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${to.port}"]
        [service.web]
        ${command("serves-by-library")}
        sockets = ["s"]
        handoff = true`,
    });
    await scene.ready("web");
    const before = await scene.pid("web");
    const clients = await Promise.all(Array.from({ length: 4 }, () => HttpClient.connect(to)));
    for (const client of clients) expect(await client.ask()).toBe(before);
    await killKeeper(scene);
    const { receipt } = await scene.restart("web");
    expect(receipt?.retired).toMatchObject([{ valve: "handoff", handedOver: 4, forced: false }]);
    for (const client of clients) {
      expect(await client.ask()).toBe(await scene.pid("web"));
      client.close();
    }
  });

  test("is no reason why a stop leaves something of a worker behind", async () => {
    const scene = await start({
      config: `[service.away]\n${command("double-forks")}\nstop.timeout = "300ms"`,
    });
    await scene.line("away", /left \d+ behind/);
    await killKeeper(scene);
    expect(processesOf(scene, "away/1")).toHaveLength(2);
    expect(await scene.act("away", "stop")).toMatchObject({ result: "done" });
    expect(processesOf(scene, "away/1")).toEqual([]);
  });

  test.each(["worker-started", "draining", "stopping"])(
    "in the middle of a rolling restart (%s) fails no request and starts nothing twice",
    async (moment) => {
      const port = await freePort();
      const scene = await start({ config: server(port) });
      await scene.ready("web");
      const asking = loadOn(port);
      await asking.answered(20);
      const [from, keeper] = [await scene.now(), scene.holdfast.keeperPid!];
      const restarted = scene.restart("web").catch(() => undefined); // Whoever asked has to ask again.
      await scene.event(moment, "web", from);
      process.kill(keeper, "SIGKILL");
      await restarted;
      await scene.holdfast.succeeded(keeper);
      await until("one worker, which is ready", async () => {
        const { phase, workers } = await scene.service("web");
        return phase === "ready" && workers.length === 1;
      });
      await asking.answered(20);
      expect(await asking.stop()).toMatchObject({ failed: 0 });
      expect(processesOf(scene, "web/1")).toEqual([await scene.pid("web")]);
    },
  );

  test("while a worker is started leaves one worker", async () => {
    const scene = await start({
      config: `[service.a]\ncommand = ["/bin/sleep", "1000"]\nstart = "manual"`,
    });
    for (let round = 0; round < 5; round += 1) {
      const keeper = scene.holdfast.keeperPid!;
      const asked = scene.act("a", "start").catch(() => undefined);
      // At another place of the start each time: before the keeper has the request, and until the program runs.
      for (let turns = 0; turns < round * 2; turns += 1) await new Promise(setImmediate);
      process.kill(keeper, "SIGKILL");
      await asked;
      await scene.holdfast.succeeded(keeper);
      const { desired } = await scene.service("a");
      if (desired === "started")
        await until("one worker", async () => (await scene.holdfast.workerPids("a")).length === 1);
      expect(processesOf(scene, "a/1")).toEqual(await scene.holdfast.workerPids("a"));
      await scene.act("a", "stop");
    }
  });

  test("in the middle of a stop of everything does not keep it from happening", async () => {
    const scene = await start({ config: `[service.a]\n${command("ignores-term")}\nstop.timeout = "300ms"` });
    await scene.ready("a");
    const keeper = scene.holdfast.keeperPid!;
    scene.holdfast.remember();
    process.kill(keeper, "SIGTERM");
    await until("the beginning of the stop", () => scene.holdfast.output.includes("SIGTERM: stopping"));
    process.kill(keeper, "SIGKILL");
    await until("the end of everything", () => processesMarked(scene.mark).length === 0, { timeoutMs: 20_000 });
    expect(existsSync(scene.holdfast.control)).toBe(false);
    scene.expectKilled();
  });

  test("whose supervisor is killed while it hands over has a successor that knows all, or none", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port) });
    await scene.ready("web");
    const [keeper, donor, worker] = [scene.holdfast.keeperPid!, await scene.supervisorPid(), await scene.pid("web")];
    process.kill(keeper, "SIGKILL");
    await until("another keeper", () =>
      processesMarked(scene.mark).some((line) => !known(line, keeper, donor, worker)),
    );
    process.kill(donor, "SIGKILL");
    const outcome = await until("all or nothing", async () => {
      if (processesMarked(scene.mark).length <= 1) return "nothing";
      return scene.holdfast.get("/v1/supervisor").then(
        ({ pid }) => pid !== donor && "all",
        () => undefined,
      );
    });
    expect(processesOf(scene, "web/1")).toEqual([worker]);
    expect(Number(await ask({ host, port }))).toBe(worker);
    if (outcome === "all") return void (await scene.holdfast.succeeded(keeper));
    process.kill(worker, "SIGKILL");
    scene.expectKilled();
  });

  test("is not taken for one that was killed because its control socket was removed", async () => {
    const scene = await start({ config: `[service.a]\ncommand = ["/bin/sleep", "1000"]` });
    await scene.ready("a");
    const { holdfast } = scene;
    renameSync(holdfast.control, `${holdfast.control}.away`);
    const refused = await holdfast.cli("run", "-c", holdfast.file, "--orphans", "stop");
    renameSync(`${holdfast.control}.away`, holdfast.control);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`another keeper (pid ${holdfast.keeperPid})`),
    });
    expect(processesOf(scene, "a/1")).toEqual([await scene.pid("a")]);
  });

  test("together with its supervisor leaves the workers, and nothing that could start one twice", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port) });
    await scene.ready("web");
    const [keeper, supervisor, worker] = [
      scene.holdfast.keeperPid!,
      await scene.supervisorPid(),
      await scene.pid("web"),
    ];
    process.kill(keeper, "SIGKILL");
    process.kill(supervisor, "SIGKILL");
    await until("nothing but the worker", () => processesMarked(scene.mark).length <= 1);
    expect(processesOf(scene, "web/1")).toEqual([worker]);
    expect(Number(await ask({ host, port }))).toBe(worker);

    // The next run does not start beside it,
    const { holdfast } = scene;
    const refused = await holdfast.cli("run", "-c", holdfast.file);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`web/1 (pid ${worker}, answers-pid)`) });
    expect(processesOf(scene, "web/1")).toEqual([worker]);
    // and begins with its end if it is told to.
    const again = spawn(process.execPath, [bin, "run", "-c", holdfast.file, "--orphans", "stop"], {
      env: { ...process.env, TEST_MARK: scene.mark.split("=")[1] },
      stdio: "ignore",
    });
    const ended = once(again, "exit");
    await scene.holdfast.succeeded(keeper);
    await scene.ready("web");
    expect(processesOf(scene, "web/1")).toEqual([await scene.pid("web")]);
    expect(isRunning(worker)).toBe(false);
    again.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });
});

function known(line: string, ...pids: readonly number[]): boolean {
  return pids.includes(Number(line.split(" ")[0]));
}

/** Pids of the worker's processes, whoever knows of them. */
function processesOf(scene: Scene, worker: string): number[] {
  const ours = new Set(processesMarked(scene.mark));
  return processesMarked(`HOLDFAST_WORKER=${worker}`)
    .filter((line) => ours.has(line))
    .map((line) => Number(line.split(" ")[0]));
}
