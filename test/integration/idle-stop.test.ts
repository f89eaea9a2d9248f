import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { isRunning } from "./census.js";
import { command } from "./fixture.js";
import { askHttp, HttpClient } from "./http-client.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

async function serve(program: string, more = ""): Promise<{ scene: Scene; to: { host: string; port: number } }> {
  const to = { host: "127.0.0.1", port: await freePort() };
  const scene = await start({
    config: `
    [socket.s]
    listen = ["tcp://127.0.0.1:${to.port}"]
    ${more}
    [service.web]
    ${program}
    sockets = ["s"]
    start = "connection"
    idle_stop = "400ms"`,
  });
  return { scene, to };
}

describe("a service that nobody is connected to", () => {
  test.each([
    ["Node", command("serves-http"), ""],
    ["a blocking accept on a steered socket", command("serves-http-blocking"), 'distribution = "steered"'],
  ])("ends after idle_stop, and the next connection starts it again: %s", async (_, program, more) => {
    const { scene, to } = await serve(program, more);
    const first = await askHttp(to);
    await until("it has ended", () => !isRunning(first));
    await until("it waits", async () => (await scene.service("web")).phase === "waiting");
    const second = await askHttp(to);
    expect(second).not.toBe(first);
    expect(await scene.event("worker-ended", "web")).toMatchObject({ data: { reason: "idle" } });
  });

  test("stays as long as somebody is connected, however silent", async () => {
    const other = { host: "127.0.0.1", port: await freePort() };
    const { to } = await serve(
      command("serves-http"),
      `[socket.t]
      listen = ["tcp://127.0.0.1:${other.port}"]
      [service.other]
      ${command("serves-http")}
      sockets = ["t"]
      start = "connection"
      idle_stop = "400ms"`,
    );
    const client = await HttpClient.connect(to);
    const pid = await client.ask();
    // The other one comes and goes by the same rule, and nobody stays connected to it.
    const otherPid = await askHttp(other);
    await until("the other one has ended", () => !isRunning(otherPid));
    expect(await client.ask()).toBe(pid);
    client.close();
    await until("it has ended", () => !isRunning(pid));
  });

  test("loses no connection that comes while it ends", async () => {
    const { scene, to } = await serve(command("serves-http"));
    const pids = new Set<number>();
    for (let round = 0; round < 3; round += 1) {
      const seen = await scene.now();
      pids.add(await askHttp(to));
      await scene.event("draining", "web", seen);
      pids.add(await askHttp(to)); // Answered by the one that ends, or by the next one.
      // One that ends for being idle counts as waiting already.
      await until("nobody runs", async () => (await scene.service("web")).workers.length === 0);
    }
    expect(pids.size).toBeGreaterThan(0);
  });
});
