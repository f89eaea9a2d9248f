import { once } from "node:events";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { readdir, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { startLoad } from "../../bench/load.mjs";
import type { ApplyView, PlanView } from "../../src/daemon/control/api.js";
import { ask, connect } from "./ask.js";
import { descriptorCount, isRunning, noMoreThan } from "./census.js";
import { command, fixture } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";
import { replaceWorker } from "./worker-file.js";

const { start } = scenes();
const host = "127.0.0.1";

/** Two services, each with a socket. */
function two(web: number, api: number, more = ""): string {
  return `
[socket.web]
listen = ["tcp://${host}:${web}"]
[socket.api]
listen = ["tcp://${host}:${api}"]
[service.web]
${command("answers-pid")}
sockets = ["web"]
ready = "notify"
[service.api]
${command("answers-pid")}
sockets = ["api"]
ready = "notify"
${more}`;
}

/** Changes the file in one step, as a deployment does; `find` must be there. */
async function edit(scene: Scene, ...changes: readonly [find: string, put: string][]): Promise<string> {
  const { file } = scene.holdfast;
  const before = readFileSync(file, "utf8");
  let text = before;
  for (const [find, put] of changes) {
    expect(text).toContain(find);
    text = text.replace(find, put);
  }
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
  return before;
}

async function apply(scene: Scene): Promise<{ code: number; view: ApplyView; stderr: string }> {
  const { code, stdout, stderr } = await scene.holdfast.cli("apply", "-o", "json");
  return { code, view: stdout === "" ? undefined : JSON.parse(stdout), stderr };
}

/** `socket:[N]` of each TCP listener that a process has open, by what /proc/net/tcp says of its port. */
function listeners(pid: number, port: number): string[] {
  const inodes = readFileSync(`/proc/${pid}/net/tcp`, "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local, , state]) => state === "0A" && local?.endsWith(`:${port.toString(16).toUpperCase().padStart(4, "0")}`),
    )
    .map((fields) => `socket:[${fields[9]}]`);
  return inodes.sort();
}

/** Whether the process has that socket open. */
async function has(pid: number, inode: string): Promise<boolean> {
  for (const fd of await readdir(`/proc/${pid}/fd`)) if (readlinkSync(`/proc/${pid}/fd/${fd}`) === inode) return true;
  return false;
}

const brokenCommand = `command = ${JSON.stringify(fixture("exits-with", "3"))}`;

describe("a changed command under requests", () => {
  test("is applied without a failed request, and other services keep their workers", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const before = { web: await scene.pid("web"), api: await scene.pid("api") };
    await edit(scene, [`sockets = ["web"]`, `sockets = ["web"]\nnice = 1`]);

    const planned = await scene.holdfast.cli("plan");
    expect(planned).toMatchObject({ code: 2, stdout: expect.stringMatching(/service web +change +rolling +nice/) });
    const load = startLoad({ target: { host, port: web }, protocol: "line", rate: 200 });
    const applied = await apply(scene);
    const { failed, outcomes, errors } = await load.stop();

    expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    expect(applied).toMatchObject({ code: 0, view: { result: "done", changes: [{ name: "web", how: "rolling" }] } });
    expect(await scene.pid("web")).not.toBe(before.web);
    expect(isRunning(before.web)).toBe(false);
    expect(await scene.pid("api")).toBe(before.api);
    await scene.holdfast.run("plan");
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "unchanged" } });
    expect((await scene.holdfast.get("/v1/events?lines=99")).events).toContainEqual(
      expect.objectContaining({ type: "applied" }),
    );
  });

  test("that does not work is rolled back, and does not come in force with the next supervisor", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const before = await scene.pid("web");
    await edit(
      scene,
      [`sockets = ["api"]`, `sockets = ["api"]\nnice = 1`],
      [`[service.web]\n${command("answers-pid")}`, `[service.web]\n${brokenCommand}`],
    );
    const load = startLoad({ target: { host, port: web }, protocol: "line", rate: 200 });
    const applied = await apply(scene);
    const { failed, outcomes, errors } = await load.stop();

    expect({ failed, outcomes, errors }).toMatchObject({ failed: 0 });
    expect(applied).toMatchObject({
      code: 152,
      view: { result: "rolled-back", service: "web", failure: { exitCode: 3 } },
      stderr: expect.stringMatching(/rolled back: everything is as before, because of web: .*exited with code 3/),
    });
    expect(await scene.pid("web")).toBe(before);
    expect(await ask({ host, port: web })).toBe(`${before}\n`);
    expect((await scene.holdfast.cli("plan")).code).toBe(2);

    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGKILL");
    await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== supervisor);
    expect(await scene.pid("web")).toBe(before);
    const api1 = await scene.pid("api");
    expect(await scene.holdfast.act("web", { action: "restart", hard: false })).toMatchObject({ result: "done" });
    expect(await scene.pid("api")).toBe(api1);
  });

  test("goes back with the services that were changed before the one that fails", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const old = await scene.pid("web");
    await edit(
      scene,
      [`sockets = ["web"]`, `sockets = ["web"]\numask = "0027"`],
      [`[service.api]\n${command("answers-pid")}`, `[service.api]\n${brokenCommand}`],
    );
    expect(await apply(scene)).toMatchObject({ code: 152, view: { service: "api" } });
    const pid = await scene.pid("web");
    expect(pid).not.toBe(old); // It was replaced, and replaced again by one of the old configuration.
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^Umask:\t0022$/m);
    expect(await scene.service("api")).toMatchObject({ ready: 1 });
  });

  test("goes back later with one whose worker of before does not start at once", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api).replace(command("answers-pid"), `command = ["./worker"]`) });
    await replaceWorker(scene, "answers-pid");
    await scene.act("web", "start");
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    await edit(
      scene,
      [`command = ["./worker"]`, `${command("answers-pid")}\numask = "0027"`],
      [`[service.api]\n${command("answers-pid")}`, `[service.api]\n${brokenCommand}`],
    );
    await replaceWorker(scene, "exits-with", "3");
    expect(await apply(scene)).toMatchObject({ code: 152, view: { service: "api" } });
    const umask = async (): Promise<string | undefined> =>
      /^Umask:\t(.*)$/m.exec(readFileSync(`/proc/${await scene.pid("web")}/status`, "utf8"))?.[1];
    expect(await umask()).toBe("0027"); // Something has to serve.
    const from = await scene.now();
    await replaceWorker(scene, "answers-pid");
    await scene.event("restarted", "web", from);
    expect(await umask()).toBe("0022");
  });
});

describe("the addresses of a socket", () => {
  test("come, go and change places while the one that stays keeps its socket and its queue", async () => {
    const [a, b, c] = [await freePort(), await freePort(), await freePort()];
    const scene = await start({ config: two(a, b) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const [inode] = listeners(process.pid, a);
    const before = [descriptorCount(scene.holdfast.keeperPid!), descriptorCount(await scene.supervisorPid())];
    const list = (...ports: number[]): string =>
      `listen = [${ports.map((port) => `"tcp://${host}:${port}"`).join(", ")}]`;

    await edit(scene, [list(a), list(c, a)]);
    const load = startLoad({ target: { host, port: a }, protocol: "line", rate: 200 });
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "done" } });
    expect(await ask({ host, port: c })).toBe(`${await scene.pid("web")}\n`);
    await edit(scene, [list(c, a), list(a, c)]);
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "done" } });
    expect(await load.stop()).toMatchObject({ failed: 0 });
    expect(listeners(process.pid, a)).toEqual([inode]);

    // What waits in the queue is served by whoever comes, although an address beside it goes away.
    await scene.act("web", "stop");
    const waiting = await connect({ host, port: a });
    await edit(scene, [list(a, c), list(a)]);
    expect(await apply(scene)).toMatchObject({ code: 0 });
    expect(listeners(process.pid, c)).toEqual([]);
    await scene.act("web", "start");
    expect(await waiting.answer).toBe(`${await scene.pid("web")}\n`);
    expect(listeners(process.pid, a)).toEqual([inode]);
    expect(await has(await scene.pid("web"), inode!)).toBe(true);
    await expect
      .poll(async () => [descriptorCount(scene.holdfast.keeperPid!), descriptorCount(await scene.supervisorPid())])
      .toEqual(noMoreThan(before.map((count) => count + 1))); // The poll's own connection.
  });

  test("go over to another name with the socket itself", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await scene.ready("web");
    const inode = listeners(process.pid, web);
    await edit(scene, ["[socket.web]", "[socket.front]"], [`sockets = ["web"]`, `sockets = ["front"]`]);
    const load = startLoad({ target: { host, port: web }, protocol: "line", rate: 200 });
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "done" } });
    expect(await load.stop()).toMatchObject({ failed: 0 });
    expect(listeners(process.pid, web)).toEqual(inode);
  });

  test("that are in use change nothing at all", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const foreign = createServer().listen(0, host);
    await once(foreign, "listening");
    const { port } = foreign.address() as { port: number };
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const before = [await scene.pid("web"), await scene.pid("api")];
    await edit(
      scene,
      [`"tcp://${host}:${api}"`, `"tcp://${host}:${api}", "unix://new.sock", "tcp://${host}:${port}"`],
      [`sockets = ["web"]`, `sockets = ["web"]\nnice = 1`],
    );
    const applied = await apply(scene);
    foreign.close();
    expect(applied).toMatchObject({ code: 1, view: { result: "failed", message: expect.stringMatching(/in use/) } });
    expect([await scene.pid("web"), await scene.pid("api")]).toEqual(before);
    expect(existsSync(join(scene.directory, "new.sock"))).toBe(false);
    expect((await scene.holdfast.get("/v1/events?lines=99")).events).toContainEqual(
      expect.objectContaining({ type: "apply-failed" }),
    );
  });
});

describe("what is live", () => {
  test("touches no worker: the number of workers, how it is stopped, the backlog", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const before = [await scene.pid("web"), await scene.pid("api")];
    await edit(
      scene,
      [`sockets = ["web"]`, `sockets = ["web"]\nworkers = 3\nstop = { timeout = "1s" }`],
      [`:${web}"]`, `:${web}"]\nbacklog = 7`],
    );
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "done" } });
    const three = await scene.holdfast.workerPids("web");
    expect(three).toHaveLength(3);
    expect([three[0], await scene.pid("api")]).toEqual(before);
    expect(await scene.socket("web")).toMatchObject({ backlog: 7 });
  });
});

describe("services", () => {
  test("come and go, with their sockets, and the others are not touched", async () => {
    const [web, api, extra] = [await freePort(), await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const before = { web: await scene.pid("web"), api: await scene.pid("api") };
    const added = `
[socket.extra]
listen = ["tcp://${host}:${extra}", "unix://extra.sock"]
[service.extra]
${command("answers-pid")}
sockets = ["extra"]
ready = "notify"
[service.lazy]
${command("answers-pid")}
sockets = ["extra"]
start = "manual"
`;
    const file = await edit(scene, ["[socket.web]", `${added}[socket.web]`]);
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "done" } });
    expect(await ask({ host, port: extra })).toBe(`${await scene.pid("extra")}\n`);
    expect(await scene.service("lazy")).toMatchObject({ phase: "stopped" });
    expect(await scene.pid("web")).toBe(before.web);

    const gone = await scene.pid("extra");
    await writeFile(scene.holdfast.file, file);
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "done" } });
    const { services, sockets } = {
      ...(await scene.holdfast.get("/v1/services")),
      ...(await scene.holdfast.get("/v1/sockets")),
    };
    expect(services.map(({ name }: { name: string }) => name).sort()).toEqual(["api", "web"]);
    expect(sockets.map(({ name }: { name: string }) => name).sort()).toEqual(["api", "web"]);
    expect(isRunning(gone)).toBe(false);
    expect(listeners(process.pid, extra)).toEqual([]);
    expect(existsSync(join(scene.directory, "extra.sock"))).toBe(false);
    expect([await scene.pid("web"), await scene.pid("api")]).toEqual([before.web, before.api]);
  });

  test("that wait for a connection are started with the new configuration", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({
      config: two(web, api).replace(`sockets = ["web"]`, `sockets = ["web"]\nstart = "connection"`),
    });
    await until("it waits", async () => (await scene.service("web")).phase === "waiting");
    await edit(scene, [`start = "connection"`, `start = "connection"\numask = "0027"`]);
    expect(await apply(scene)).toMatchObject({ code: 0, view: { result: "done" } });
    const pid = Number(await ask({ host, port: web }));
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^Umask:\t0027$/m);
  });
});

describe("an apply", () => {
  test("of a wrong file exits with 6 and says where, and of a file that needs a new start with 1", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const right = await edit(scene, [`sockets = ["web"]`, `sokets = ["web"]`]);
    for (const name of ["plan", "apply"]) {
      const { code, stderr } = await scene.holdfast.cli(name);
      expect({ code, stderr }).toMatchObject({
        code: 6,
        stderr: expect.stringMatching(/holdfast\.toml:\d+:1: .*sokets/),
      });
    }
    await writeFile(scene.holdfast.file, right.replace(`:${web}"]`, `:${web}"]\nreceive_buffer = "64KiB"`));
    expect(await apply(scene)).toMatchObject({
      code: 1,
      view: {
        result: "failed",
        message: expect.stringMatching(/nothing was changed: socket web: options can only be set/),
      },
    });
  });

  test("is told that another one is under way, and that the file has changed since its plan", async () => {
    const [web, api] = [await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const { id }: PlanView = await scene.holdfast.get("/v1/plan");
    await edit(scene, [
      `[service.web]\n${command("answers-pid")}`,
      `[service.web]\ncommand = ${JSON.stringify(fixture("never-ready"))}`,
    ]);
    const post = (body: object) =>
      fetchControl(scene.holdfast.control, JSON.stringify(body)).then(({ status, text }) => ({
        status,
        body: JSON.parse(text),
      }));
    expect(await post({ plan: id })).toMatchObject({ status: 409, body: { error: { code: "plan-changed" } } });
    const from = await scene.now();
    const first = post({});
    await scene.event("worker-started", "web", from);
    expect(await post({})).toMatchObject({ status: 409, body: { error: { code: "apply-in-progress" } } });
    expect(await scene.act("web", "stop")).toMatchObject({ result: "done" });
    expect(await first).toMatchObject({ status: 200, body: { result: "rolled-back", service: "web" } });
  });

  test("that the supervisor does not survive is undone by the next one", async () => {
    const [web, api, extra] = [await freePort(), await freePort(), await freePort()];
    const scene = await start({ config: two(web, api) });
    await Promise.all([scene.ready("web"), scene.ready("api")]);
    const old = await scene.pid("api");
    await edit(
      scene,
      [`sockets = ["web"]`, `sockets = ["web"]\numask = "0027"\nworkers = 2`],
      [
        `[service.api]\n${command("answers-pid")}`,
        `[service.new]
${command("answers-pid")}
sockets = ["extra"]
ready = "notify"
[socket.extra]
listen = ["tcp://${host}:${extra}", "unix://extra.sock"]
[service.api]
command = ${JSON.stringify(fixture("never-ready"))}`,
      ],
    );
    const load = startLoad({ target: { host, port: web }, protocol: "line", rate: 100 });
    const from = await scene.now();
    const applying = scene.holdfast.cli("apply");
    await scene.event("worker-started", "api", from); // `web` is done by then.
    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGKILL");
    expect(await applying).toMatchObject({ code: 151 });
    await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== supervisor);

    await until("web is as before", async () => {
      const { workers, ready } = await scene.service("web");
      if (ready !== 1 || workers.length !== 1) return false;
      return /^Umask:\t0022$/m.test(readFileSync(`/proc/${workers[0]!.pid}/status`, "utf8"));
    });
    await until("api has its one worker", async () => (await scene.service("api")).workers.length === 1);
    expect(await scene.pid("api")).toBe(old);
    expect(await load.stop()).toMatchObject({ failed: 0 });
    await expect.poll(() => listeners(process.pid, extra)).toEqual([]);
    await expect.poll(() => existsSync(join(scene.directory, "extra.sock"))).toBe(false);
    const { services } = await scene.holdfast.get("/v1/services");
    expect(services.map(({ name }: { name: string }) => name)).not.toContain("new");
  });

  test("that is in force when the supervisor is killed is completed by the next one", async () => {
    const [web, api, extra] = [await freePort(), await freePort(), await freePort()];
    const stubborn = `
[socket.extra]
listen = ["tcp://${host}:${extra}"]
[service.stubborn]
${command("ignores-term")}
sockets = ["extra"]
ready = "spawned"
stop = { timeout = "2s" }
`;
    const scene = await start({ config: two(web, api, stubborn) });
    await Promise.all([scene.ready("web"), scene.ready("stubborn")]);
    await scene.line("stubborn", /running/);
    const [going, stays] = [await scene.pid("stubborn"), await scene.pid("api")];
    await edit(scene, [stubborn, ""]);
    const from = await scene.now();
    const applying = scene.holdfast.cli("apply");
    await scene.event("stopping", "stubborn", from);
    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGKILL");
    expect(await applying).toMatchObject({ code: 151 });
    await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== supervisor);

    await expect.poll(() => isRunning(going), { timeout: 10_000 }).toBe(false);
    await expect.poll(() => listeners(process.pid, extra)).toEqual([]);
    const names = async () =>
      (await scene.holdfast.get("/v1/services")).services.map(({ name }: { name: string }) => name).sort();
    await expect.poll(names).toEqual(["api", "web"]);
    await scene.holdfast.run("plan"); // Exit code 0: the file is in force.
    expect(await scene.pid("api")).toBe(stays);
  });
});

async function fetchControl(control: string, body: string): Promise<{ status: number; text: string }> {
  const { request } = await import("node:http");
  const { text } = await import("node:stream/consumers");
  const sent = request({ socketPath: control, method: "POST", path: "/v1/apply", agent: false });
  sent.end(body);
  const [response] = await once(sent, "response");
  return { status: response.statusCode, text: await text(response) };
}
