import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
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
