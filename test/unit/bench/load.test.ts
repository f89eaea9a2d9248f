import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { startLoad } from "../../../bench/load.mjs";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

let server: Server;
let sockets: Set<Socket>;

async function listen(handle: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  sockets = new Set();
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // The other side is allowed to reset what this side breaks on purpose.
    handle(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

describe("a load of five requests", () => {
  test("counts answers, and their latency from when they were due", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.end(ANSWER)));
    const bodies: string[] = [];
    const result = await startLoad({ target, limit: 5, onAnswer: (body: string) => bodies.push(body) }).done;
    expect(result).toMatchObject({ sent: 5, answered: 5, failed: 0, resetAfter: 0 });
    expect(bodies).toEqual(Array(5).fill("ok\n"));
    expect(result.p50).toBeGreaterThan(0);
  });

  test("tells a refused connection", async () => {
    const target = await listen(() => {});
    server.close();
    await once(server, "close");
    const result = await startLoad({ target, limit: 5 }).done;
    expect(result).toMatchObject({ failed: 5, outcomes: { refused: 5 }, errors: { ECONNREFUSED: 5 } });
  });

  test("tells a connection that ended before the answer", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.end()));
    expect(await startLoad({ target, limit: 5 }).done).toMatchObject({ failed: 5, outcomes: { "reset-before": 5 } });
  });

  test("tells a connection that was reset before the answer", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.resetAndDestroy()));
    expect(await startLoad({ target, limit: 5 }).done).toMatchObject({
      failed: 5,
      outcomes: { "reset-before": 5 },
      errors: { ECONNRESET: 5 },
    });
  });

  test("tells an answer that was cut", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.end(ANSWER.slice(0, -1))));
    expect(await startLoad({ target, limit: 5 }).done).toMatchObject({ failed: 5, outcomes: { "reset-within": 5 } });
  });

  test("tells a missing answer", async () => {
    const target = await listen(() => {});
    expect(await startLoad({ target, limit: 5, timeoutMs: 50 }).done).toMatchObject({
      failed: 5,
      outcomes: { timeout: 5 },
    });
  });

  test("tells an answer that is an error", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.end(ANSWER.replace("200", "503"))));
    expect(await startLoad({ target, limit: 5 }).done).toMatchObject({ failed: 5, outcomes: { status: 5 } });
  });

  test("asks for the slow path each second time", async () => {
    const paths: string[] = [];
    const target = await listen((socket) =>
      socket.once("data", (data) => {
        paths.push(String(data).split(" ")[1] ?? "");
        socket.end(ANSWER);
      }),
    );
    await startLoad({ target, limit: 5, rate: 50, slow: { every: 2, path: "/slow" } }).done;
    expect(paths).toEqual(["/", "/slow", "/", "/slow", "/"]);
  });
});

describe("a load over kept connections", () => {
  test("uses one connection for requests that follow each other", async () => {
    const target = await listen((socket) => socket.on("data", () => socket.write(ANSWER)));
    const result = await startLoad({ target, limit: 10, rate: 50, connections: "kept" }).done;
    expect(result).toMatchObject({ answered: 10, failed: 0 });
    expect(sockets.size).toBeLessThan(10);
  });

  test("tells a kept connection that was closed as it was used again", async () => {
    const target = await listen((socket) => {
      socket.once("data", () => {
        socket.write(ANSWER);
        socket.once("data", () => socket.resetAndDestroy());
      });
    });
    const result = await startLoad({ target, limit: 2, rate: 20, connections: "kept" }).done;
    expect(result).toMatchObject({ answered: 1, failed: 1, outcomes: { "kept-closed": 1 } });
  });
});

describe("a load that nobody stops", () => {
  test("ends by itself at its time", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.end(ANSWER)));
    const result = await startLoad({ target, rate: 100, durationMs: 200 }).done;
    expect(result.sent).toBeGreaterThan(15);
    expect(result.sent).toBeLessThan(30);
  });
});
