import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { freePort } from "../../../bench/lib/holdfast.mjs";
import { until } from "../../../bench/lib/until.mjs";
import { command } from "../fixture.js";
import { askHttp, HttpClient } from "../http-client.js";
import { type Scene, scenes } from "../scene.js";

const { start } = scenes();
const host = "127.0.0.1";

async function serve({
  socket = "",
  service = "",
} = {}): Promise<{ scene: Scene; to: { host: string; port: number } }> {
  const to = { host, port: await freePort() };
  const scene = await start({
    config: `
    [socket.s]
    listen = ["tcp://${host}:${to.port}"]
    ${socket}
    [service.web]
    ${service}
    ${command("serves-by-library")}
    sockets = ["s"]
    handoff = true`,
  });
  await scene.ready("web");
  return { scene, to };
}

describe("a service with handoff", () => {
  test("gives its kept-alive connections to the successor, and the receipt counts them", async () => {
    const { scene, to } = await serve();
    const before = await scene.pid("web");
    const clients = await Promise.all(Array.from({ length: 8 }, () => HttpClient.connect(to)));
    for (const client of clients) expect(await client.ask()).toBe(before);
    const { result, receipt } = await scene.restart("web");
    expect(result).toBe("done");
    expect(receipt?.retired).toMatchObject([{ valve: "handoff", handedOver: 8, cut: 0, forced: false }]);
    const after = await scene.pid("web");
    for (const client of clients) {
      expect(client.isClosed).toBe(false);
      expect(await client.ask()).toBe(after);
      client.close();
    }
  });

  test("gets a socket that an apply adds, and gives up one that it removes, without a restart", async () => {
    const { scene, to } = await serve();
    const pid = await scene.pid("web");
    const other = { host, port: await freePort() };
    const { file } = scene.holdfast;
    const text = readFileSync(file, "utf8");
    const added = text.replace('sockets = ["s"]', 'sockets = ["s", "t"]');
    writeFileSync(file, `${added}\n[socket.t]\nlisten = ["tcp://${host}:${other.port}"]\n`);
    const { stdout } = await scene.holdfast.cli("plan", "-o", "json");
    expect(JSON.parse(stdout).changes).toMatchObject([
      { name: "t", change: "add" },
      { name: "web", how: "live" },
    ]);
    expect((await scene.holdfast.cli("apply")).code).toBe(0);
    expect(await askHttp(other)).toBe(pid);
    expect(await askHttp(to)).toBe(pid);
    writeFileSync(file, text);
    expect((await scene.holdfast.cli("apply")).code).toBe(0);
    // The worker closes its descriptor when it has heard of it, and until then the kernel takes connections.
    await until("nobody has the socket", () =>
      askHttp(other).then(
        () => false,
        (error: Error) => error.message.includes("ECONNREFUSED"),
      ),
    );
    expect(await askHttp(to)).toBe(pid);
  });

  test("gets the lanes of its own of a steered socket, also when an apply adds one", async () => {
    const steered = 'distribution = "steered"';
    const { scene, to } = await serve({ socket: steered, service: "workers = 2" });
    const other = { host, port: await freePort() };
    const { file } = scene.holdfast;
    const added = readFileSync(file, "utf8").replace('sockets = ["s"]', 'sockets = ["s", "t"]');
    writeFileSync(file, `${added}\n[socket.t]\n${steered}\nlisten = ["tcp://${host}:${other.port}"]\n`);
    expect((await scene.holdfast.cli("apply")).code).toBe(0);
    for (const address of [to, other]) {
      // Whatever comes into a lane that nobody listens on would wait for ever.
      const answers = await Promise.all(Array.from({ length: 40 }, () => askHttp(address)));
      expect(new Set(answers).size).toBe(2);
    }
  });

  test("hands over as well when the supervisor was killed before", async () => {
    const { scene, to } = await serve();
    const client = await HttpClient.connect(to);
    const before = await client.ask();
    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGKILL");
    await scene.ready("web");
    const { receipt } = await scene.restart("web");
    expect(receipt?.retired).toMatchObject([{ valve: "handoff", handedOver: 1 }]);
    expect(client.isClosed).toBe(false);
    expect(await client.ask()).not.toBe(before);
    client.close();
  });
});
