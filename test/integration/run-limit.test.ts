import { once } from "node:events";
import { createConnection } from "node:net";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { command } from "./fixture.js";
import { scenes } from "./scene.js";

const { start } = scenes();

describe("what has run for as long as run_limit allows", () => {
  test("is replaced as a worker, ended with a timeout as a task, and closed as a connection", async () => {
    const [web, inetd] = [await freePort(), await freePort()];
    const scene = await start({
      config: `
      [socket.web]
      listen = ["tcp://127.0.0.1:${web}"]
      [service.web]
      ${command("serves-http")}
      sockets = ["web"]
      run_limit = "800ms"
      restart = { limit = { starts = 2, interval = "1h" } }
      [service.job]
      command = ["sleep", "600"]
      type = "task"
      run_limit = "300ms"
      [socket.inetd]
      listen = ["tcp://127.0.0.1:${inetd}"]
      accept = true
      [service.inetd]
      command = ["sleep", "600"]
      sockets = ["inetd"]
      run_limit = "300ms"`,
    });
    const client = createConnection(inetd, "127.0.0.1");
    client.on("error", () => {}).resume();
    const closed = once(client, "close");

    const over = await scene.event("run-limit", "web");
    expect(over.message).toMatch(/^web\/1 \(pid \d+\) has run for as long as run_limit allows$/);
    const successor = await scene.event("worker-ready", "web", over.sequence);
    const ended = await scene.event("worker-ended", "web", over.sequence);
    expect([successor.worker, ended.worker, ended.data]).toMatchObject([2, 1, { reason: "asked" }]);
    expect(ended.sequence).toBeGreaterThan(successor.sequence);

    await scene.event("halted", "job");
    expect((await scene.service("job")).lastFailure).toMatchObject({ code: "run-limit", signal: "SIGTERM" });

    await closed;
    const { message } = await scene.event("run-limit", "inetd");
    expect(message).toMatch(/^inetd\/1 \(127\.0\.0\.1:\d+\) has run for as long as run_limit allows: SIGTERM$/);
    expect((await scene.service("inetd")).lastFailure).toBeUndefined();
  });
});
