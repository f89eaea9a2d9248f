import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { startLoadProcess } from "../../../bench/lib/load-process.mjs";
import { readProcess } from "../../../bench/lib/proc.mjs";

describe("a load in a process of its own", () => {
  test("tells what happened so far and in the end, and is gone then", async () => {
    const server = createServer((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n42\n")),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const load = await startLoadProcess("http", { target: { host: "127.0.0.1", port }, rate: 100 });
    await expect.poll(async () => (await load.result()).answered, { timeout: 10_000 }).toBeGreaterThan(10);
    const result = await load.stop();
    expect(result).toMatchObject({ failed: 0, idleRace: 0 });
    expect(result.workers["42"].answers).toBe(result.sent);
    expect(readProcess(load.pid!)).toBeUndefined();
    server.close();
  });
});
