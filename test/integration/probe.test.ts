import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { isRunning } from "./census.js";
import { command } from "./fixture.js";
import { askHttp } from "./http-client.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

async function serve(service: string, more = ""): Promise<{ scene: Scene; to: { host: string; port: number } }> {
  const to = { host: "127.0.0.1", port: await freePort() };
  const scene = await start({
    config: `
    [socket.s]
    listen = ["tcp://127.0.0.1:${to.port}"]
    ${more}
    [service.web]
    ${service}
    sockets = ["s"]`,
  });
  return { scene, to };
}

describe("a worker whose readiness is asked for", () => {
  test.each(["", 'distribution = "steered"'])(
    "is ready once it answers, also beside others that would answer (%s)",
    async (more) => {
      const { scene, to } = await serve(`${command("serves-http")}\nready = { probe = "/" }\nworkers = 2`, more);
      await scene.ready("web");
      const outcome = await scene.restart("web");
      expect(outcome).toMatchObject({ result: "done", receipt: { longestUnreadyMs: 0 } });
      expect(outcome.receipt?.started).toHaveLength(2);
      await askHttp(to);
    },
  );

  test("is rolled back when it answers something else, and the answer is told", async () => {
    const { scene, to } = await serve(
      `${command("answers-health")}\nready = { probe = "/health", timeout = "2s" }\nenv = { HEALTH = "200" }`,
    );
    await scene.ready("web");
    const before = await scene.pid("web");
    const { file } = scene.holdfast;
    writeFileSync(file, readFileSync(file, "utf8").replace('HEALTH = "200"', 'HEALTH = "503"'));
    const { code, stderr } = await scene.holdfast.cli("apply");
    expect(code).toBe(152);
    expect(stderr).toMatch(/GET \/health answered 503/);
    expect(await askHttp(to)).toBe(before);
  });
});

describe("a command that tells whether a worker is ready", () => {
  /** `script` is read by sh in the folder of the configuration. */
  async function asked(script: string, more = ""): Promise<{ scene: Scene; file: (name: string) => string }> {
    const exec = JSON.stringify(["/bin/sh", "-c", script]);
    const { scene } = await serve(
      `${command("serves-http")}\nready = { probe = { exec = ${exec}, every = "20ms"${more} }, timeout = "1500ms" }\nrestart = { backoff = { initial = "1ms" } }`,
    );
    return { scene, file: (name) => join(scene.directory, name) };
  }
  const linesOf = (path: string): string[] =>
    existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];

  test("is asked about one worker until it exits with 0, and its last line is told if it never does", async () => {
    const { scene, file } = await asked(
      'echo "$HOLDFAST_WORKER $MAINPID" >> asked; test -e "ready-$HOLDFAST_GENERATION" && exit; echo not yet; exit 3',
    );
    await until("it is asked twice", () => linesOf(file("asked")).length >= 2);
    expect(await scene.service("web")).toMatchObject({ phase: "starting" });
    const [first] = await scene.holdfast.workerPids("web");
    expect(linesOf(file("asked"))[0]).toBe(`web/1 ${first}`);
    writeFileSync(file("ready-1"), "");
    await scene.ready("web");
    expect(await scene.restart("web")).toMatchObject({
      result: "rolled-back",
      message: expect.stringContaining("/bin/sh exited with code 3: not yet"),
    });
    expect(await scene.pid("web")).toBe(first);
  });

  test("is killed with all that it has started when it takes too long", async () => {
    const { scene, file } = await asked(
      "sleep 1000 & echo $! >> asked; test -e ready || sleep 1000",
      ', timeout = "100ms"',
    );
    await until("it is asked twice", () => linesOf(file("asked")).length >= 2);
    expect(isRunning(Number(linesOf(file("asked"))[0]))).toBe(false);
    writeFileSync(file("ready"), "");
    await scene.ready("web");
    await until("the last one has ended", () => !linesOf(file("asked")).some((pid) => isRunning(Number(pid))));
  });

  test("is killed and asked anew when its supervisor was killed", async () => {
    const { scene, file } = await asked(
      'sleep 1000 & echo "$$ $!" >> asked; test -e ready || sleep 1000',
      ', timeout = "60s"',
    );
    await until("it is asked", () => linesOf(file("asked")).length === 1);
    process.kill(await scene.supervisorPid(), "SIGKILL");
    writeFileSync(file("ready"), "");
    await scene.ready("web");
    const pids = linesOf(file("asked"))[0]!.split(" ").map(Number);
    await until("what the first one had asked is gone", () => !pids.some(isRunning));
  });

  test("that is no program is a reason that is told", async () => {
    const { scene } = await serve(
      `${command("serves-http")}\nready = { probe = { exec = "./no-such" }, timeout = "200ms" }`,
    );
    await scene.event("worker-ended", "web");
    expect(JSON.stringify(await scene.service("web"))).toMatch(
      /\.\/no-such could not be started: .*no-such.* does not exist/,
    );
  });
});
