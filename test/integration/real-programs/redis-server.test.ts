import { createConnection } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort, type RunningHoldfast, startHoldfast } from "../../../bench/lib/holdfast.mjs";
import { isInstalled, type Place, stopsWithoutTrace } from "./real-program.js";

const program = { folder: "redis-server", debianPackage: "redis-server", executable: "/usr/bin/redis-server" };

/** One inline command of the Redis protocol. */
function ask({ port }: Place, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("error", reject);
    socket.once("data", (chunk) => {
      socket.destroy();
      resolve(chunk.toString("utf8"));
    });
    socket.write(`${line}\r\n`);
  });
}

// It binds its own port and takes no socket from anybody: what it shows is sd_notify(3), and a restart that stops first.
describe.skipIf(!isInstalled(program))("redis-server, which only notifies (Debian package redis-server)", () => {
  let holdfast: RunningHoldfast;
  let place: Place;

  beforeEach(async () => {
    const port = await freePort();
    holdfast = await startHoldfast({
      template: join(import.meta.dirname, program.folder),
      values: { PORT: String(port) },
    });
    place = { port, directory: holdfast.directory };
    await holdfast.run("wait", "redis", "--for", "ready", "--timeout", "20s");
  });

  afterEach(() => holdfast.dispose());

  test("is ready when it said so, and answers", async () => {
    expect(await ask(place, "PING")).toBe("+PONG\r\n");
    const { statusText, workers } = await holdfast.get("/v1/services/redis");
    expect(statusText ?? workers[0].statusText).toMatch(/Ready to accept connections/);
    await stopsWithoutTrace(holdfast, place);
  });

  test("is another process after restart --hard", async () => {
    const before = await holdfast.workerPids("redis");
    holdfast.remember();
    await holdfast.run("restart", "--hard", "redis");
    expect(await holdfast.workerPids("redis")).not.toEqual(before);
    expect(await ask(place, "PING")).toBe("+PONG\r\n");
    await stopsWithoutTrace(holdfast, place);
  });

  test("goes on when its successor cannot bind the same port", async () => {
    const before = await holdfast.workerPids("redis");
    holdfast.remember();
    const { code, stderr, stdout } = await holdfast.cli("restart", "redis");
    expect(code).toBe(152);
    expect(stdout + stderr).toMatch(/redis/);
    expect(await holdfast.workerPids("redis")).toEqual(before);
    expect(await ask(place, "PING")).toBe("+PONG\r\n");
    await stopsWithoutTrace(holdfast, place);
  });
});
