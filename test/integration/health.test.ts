import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { command } from "./fixture.js";
import { askHttp } from "./http-client.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

/** A command that fails as long as there is a file of this name in the folder of the configuration. */
const sickAs = (name: string): string =>
  `exec = ${JSON.stringify(["/bin/sh", "-c", `test ! -e "${name}" || { echo it is sick; exit 1; }`])}`;

async function serve(service: string, socket = ""): Promise<{ scene: Scene; to: { host: string; port: number } }> {
  const to = { host: "127.0.0.1", port: await freePort() };
  const scene = await start({
    config: `
    [socket.s]
    listen = ["tcp://127.0.0.1:${to.port}"]
    ${socket}
    [service.web]
    ${service}
    sockets = ["s"]`,
  });
  await scene.ready("web");
  return { scene, to };
}

describe("a ready worker that fails its checks", () => {
  test("serves until its successor is ready, and retires then", async () => {
    const { scene, to } = await serve(
      `${command("serves-http")}\nhealth = { ${sickAs("sick-$HOLDFAST_GENERATION")}, every = "20ms", failures = 2 }`,
    );
    const before = await scene.pid("web");
    writeFileSync(join(scene.directory, "sick-1"), "");
    const { message, sequence } = await scene.event("unhealthy", "web");
    expect(message).toMatch(/^web\/1 \(pid \d+\) is unhealthy: \/bin\/sh exited with code 1: it is sick$/);
    const successor = await scene.event("worker-ready", "web", sequence);
    expect(successor.worker).toBe(2);
    const ended = await scene.event("worker-ended", "web", sequence);
    expect(ended).toMatchObject({ worker: 1, data: { reason: "asked" } });
    expect(ended.sequence).toBeGreaterThan(successor.sequence);
    expect(await askHttp(to)).not.toBe(before);
  });

  test("is shown, and healthy again, where that is all that is wanted; also after its supervisor was killed", async () => {
    const { scene } = await serve(
      `${command("serves-http")}\nhealth = { ${sickAs("sick")}, every = "20ms", failures = 1, action = "report" }`,
    );
    const pid = await scene.pid("web");
    writeFileSync(join(scene.directory, "sick"), "");
    await scene.event("unhealthy", "web");
    expect((await scene.holdfast.cli("status", "web")).stdout).toContain(
      "(unhealthy: /bin/sh exited with code 1: it is sick)",
    );
    process.kill(await scene.supervisorPid(), "SIGKILL");
    const unhealthy = async () => (await scene.service("web")).workers[0]?.unhealthy;
    expect(await unhealthy()).toBeDefined();
    rmSync(join(scene.directory, "sick"));
    await until("it is healthy again", async () => (await unhealthy()) === undefined);
    expect((await scene.service("web")).workers).toMatchObject([{ pid, phase: "ready" }]);
  });

  test("is met at the socket of its own, where it hangs, and replaced", async () => {
    const { scene, to } = await serve(
      `${command("serves-http")}
       workers = 2
       health = { http = "/", every = "50ms", timeout = "500ms", failures = 2 }
       drain = { timeout = "100ms" }
       stop = { timeout = "100ms" }`,
      'distribution = "steered"',
    );
    const [hung = 0, other] = await scene.holdfast.workerPids("web");
    process.kill(hung, "SIGSTOP");
    await scene.event("unhealthy", "web");
    await until("it is replaced", async () => {
      const pids = await scene.holdfast.workerPids("web");
      return pids.length === 2 && !pids.includes(hung) && (await scene.service("web")).phase === "ready";
    });
    const pids = await scene.holdfast.workerPids("web");
    expect(pids).toContain(other);
    expect(pids).toContain(await askHttp(to));
  });

  test("gets no new connections until it is healthy again, unless nobody else serves; another supervisor finds it so", async () => {
    const [shared, steered] = [await freePort(), await freePort()];
    const scene = await start({
      config: `
      [socket.shared]
      listen = ["tcp://127.0.0.1:${shared}"]
      [service.web]
      ${command("serves-http")}
      sockets = ["shared"]
      workers = 2
      health = { ${sickAs("sick-$HOLDFAST_GENERATION")}, every = "20ms", timeout = "20s", failures = 1, successes = 2, action = "drain" }
      [socket.steered]
      listen = ["tcp://127.0.0.1:${steered}"]
      distribution = "steered"
      [service.own]
      ${command("serves-http")}
      sockets = ["steered"]
      workers = 2
      health = { http = "/", every = "50ms", timeout = "500ms", failures = 2, action = "drain" }`,
    });
    await Promise.all(["web", "own"].map((name) => scene.ready(name)));
    const served = async (port: number): Promise<unknown[]> => [
      ...new Set(await Promise.all(Array.from({ length: 8 }, () => askHttp({ host: "127.0.0.1", port })))),
    ];
    const aside = async (slot: number, name = "web") => (await scene.service(name)).workers[slot - 1]?.aside;
    const [first = 0, second = 0] = await scene.holdfast.workerPids("web");
    const [hung = 0, other = 0] = await scene.holdfast.workerPids("own");

    process.kill(hung, "SIGSTOP");
    writeFileSync(join(scene.directory, "sick-1"), "");
    await Promise.all(["web", "own"].map((name) => scene.event("set-aside", name)));
    const onlyBy = async (port: number, pid: number) => (await served(port)).every((answer) => answer === pid);
    await until("their valves are closed", async () => (await onlyBy(shared, second)) && onlyBy(steered, other));
    expect(await served(shared)).toEqual([second]);
    expect(await served(steered)).toEqual([other]);
    expect((await scene.service("web")).workers[0]).toMatchObject({ phase: "ready", valve: "epoll" });
    process.kill(hung, "SIGCONT");
    await scene.event("recovered", "own");
    await until("its lane gets new connections again", async () => (await served(steered)).includes(hung));

    writeFileSync(join(scene.directory, "sick-2"), "");
    const { message } = await scene.event("kept", "web");
    expect(message).toMatch(/^web\/2 \(pid \d+\) gets new connections all the same: no other worker serves$/);
    expect((await scene.holdfast.cli("status", "web")).stdout).toMatch(/it is sick; gets new connections all the same/);
    rmSync(join(scene.directory, "sick-2"));
    await scene.event("recovered", "web");

    process.kill(await scene.supervisorPid(), "SIGKILL");
    await until("another supervisor is there", async () => (await aside(1)) !== undefined);
    expect(await aside(1)).toBe("no new connections until it is healthy again");
    expect(await served(shared)).toEqual([second]);
    rmSync(join(scene.directory, "sick-1"));
    await until("it is healthy again", async () => (await aside(1)) === undefined);
    process.kill(second, "SIGSTOP");
    expect(await served(shared)).toEqual([first]);
    process.kill(second, "SIGCONT");
  });

  test("is left as it is where the command that asks cannot be executed, and that is said", async () => {
    const { scene } = await serve(
      `${command("serves-http")}\nhealth = { exec = ["./no-such-check"], every = "20ms", failures = 1 }`,
    );
    const pid = await scene.pid("web");
    const sentence =
      /the health of web\/1 is not known: \.\/no-such-check could not be started: .*does not exist; the worker is left as it is/;
    await until("it is said", () => sentence.test(scene.holdfast.output));
    expect((await scene.service("web")).workers).toMatchObject([{ pid, phase: "ready" }]);
    expect((await scene.service("web")).workers[0]?.unhealthy).toBeUndefined();
  });
});
