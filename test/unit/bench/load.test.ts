import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { parseTarget, startLoad } from "../../../bench/load.mjs";

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
  for (const socket of sockets ?? []) socket.destroy();
  server?.close();
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
    expect(await startLoad({ target, limit: 5 }).done).toMatchObject({ failed: 5, outcomes: { closed: 5 } });
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
  /** Slow enough that a request is answered before the next is due, also where the machine is busy. */
  const kept = { connections: "kept" as const, rate: 10 };

  test("lets so many take turns", async () => {
    const target = await listen((socket) => socket.on("data", () => socket.write(ANSWER)));
    const result = await startLoad({ target, ...kept, kept: 3, limit: 8 }).done;
    expect(result).toMatchObject({
      answered: 8,
      failed: 0,
      idleRace: 0,
      opened: 3,
      closedIdle: 0,
      closedAnnounced: 0,
    });
  });

  test("opens a further one while all are busy, and closes it after its request", async () => {
    const waiting: Socket[] = [];
    const target = await listen((socket) =>
      socket.on("data", () => {
        waiting.push(socket);
        if (waiting.length === 3) for (const one of waiting) one.write(ANSWER);
        if (waiting.length > 3) socket.write(ANSWER);
      }),
    );
    const result = await startLoad({ target, ...kept, kept: 2, limit: 6 }).done;
    expect(result).toMatchObject({ answered: 6, opened: 3, closedIdle: 0 });
  });

  test("counts those that the server closes while they are idle, and opens others", async () => {
    const target = await listen((socket) =>
      socket.on("data", () => {
        socket.write(ANSWER);
        setTimeout(() => socket.destroy(), 20);
      }),
    );
    const result = await startLoad({ target, ...kept, kept: 1, limit: 4 }).done;
    expect(result).toMatchObject({ answered: 4, failed: 0, opened: 4, closedIdle: 3, closedAnnounced: 0 });
  });

  test("counts those that the server announces to close", async () => {
    const target = await listen((socket) =>
      socket.on("data", () => socket.end(ANSWER.replace("\r\n", "\r\nConnection: close\r\n"))),
    );
    const result = await startLoad({ target, ...kept, limit: 4 }).done;
    expect(result).toMatchObject({ answered: 4, opened: 4, closedIdle: 0, closedAnnounced: 4 });
  });

  test("reports a request apart that met the end of its idle connection", async () => {
    const target = await listen((socket) => {
      socket.once("data", () => {
        socket.write(ANSWER);
        socket.once("data", () => socket.resetAndDestroy());
      });
    });
    const result = await startLoad({ target, ...kept, kept: 1, limit: 2 }).done;
    expect(result).toMatchObject({ answered: 1, failed: 0, idleRace: 1, outcomes: { "idle-race": 1 } });
  });

  test("counts bytes that nobody asked for", async () => {
    let connection: Socket | undefined;
    const target = await listen((socket) => {
      connection = socket;
      socket.on("data", () => socket.write(ANSWER));
    });
    // Once there is an answer, and long before the next request.
    const onAnswer = () => connection?.write("HTTP/1.1 408 Request Timeout\r\n\r\n");
    const result = await startLoad({ target, ...kept, rate: 2, kept: 1, limit: 2, onAnswer }).done;
    expect(result).toMatchObject({ answered: 2, unsolicited: 1 });
  });
});

describe("a load that looks at its answers", () => {
  const body = (text: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

  test("tells one that belongs to another request", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.end(body("node 7 /?n=2\n"))));
    const result = await startLoad({ target, limit: 3, echo: true }).done;
    expect(result).toMatchObject({ answered: 1, failed: 2, outcomes: { wrong: 2 } });
  });

  test("tells one that is not what it expects", async () => {
    const target = await listen((socket) => socket.once("data", () => socket.end(body("node 7\n"))));
    expect(await startLoad({ target, limit: 2, expects: "^python" }).done).toMatchObject({ outcomes: { wrong: 2 } });
  });

  test.each([
    ["that is not HTTP", "SSH-2.0-dropbear\r\n"],
    ["with more bytes than it announced", `${ANSWER}ok\n`],
  ])("tells one %s", async (_, text) => {
    const target = await listen((socket) => socket.once("data", () => socket.end(text)));
    expect(await startLoad({ target, limit: 2 }).done).toMatchObject({ failed: 2, outcomes: { wrong: 2 } });
  });

  test("reads one in chunks, cut anywhere", async () => {
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok \r\n2\r\n7\n\r\n0\r\n\r\n";
    const target = await listen((socket) =>
      socket.once("data", () => {
        let at = 0;
        const write = (): void => {
          if (at === chunked.length) return;
          at += 1;
          socket.write(chunked.slice(at - 1, at), () => setImmediate(write));
        };
        write();
      }),
    );
    const bodies: string[] = [];
    await startLoad({ target, limit: 1, onAnswer: (text) => bodies.push(text) }).done;
    expect(bodies).toEqual(["ok 7\n"]);
  });

  test("counts who answered, by the header or by the first number", async () => {
    let count = 0;
    const target = await listen((socket) =>
      socket.once("data", () => {
        count += 1;
        socket.end(count < 4 ? body("node 42\n") : ANSWER.replace("\r\n", "\r\nX-Worker: web-2\r\n"));
      }),
    );
    const { workers } = await startLoad({ target, limit: 5, rate: 100 }).done;
    expect(workers).toMatchObject({ 42: { answers: 3 }, "web-2": { answers: 2 } });
    expect(workers["web-2"]?.firstMs).toBeGreaterThan(workers["42"]?.lastMs ?? Number.NaN);
  });
});

describe("an open-loop load", () => {
  test("charges a stall to every request that was due meanwhile", async () => {
    const held: Socket[] = [];
    let stalled = true;
    const target = await listen((socket) =>
      socket.once("data", () => {
        if (stalled) held.push(socket);
        else socket.end(ANSWER);
        if (held.length < 50 || !stalled) return;
        stalled = false;
        for (const one of held) one.end(ANSWER);
      }),
    );
    const result = await startLoad({ target, rate: 200, limit: 90 }).done;
    expect(result).toMatchObject({ answered: 90, failed: 0 });
    expect(result.max).toBeGreaterThan(200); // The first of 50 that were due 5 ms apart.
    expect(result.p50).toBeGreaterThan(5); // Most of all waited; a closed loop would have seen one slow request.
    expect(result.late.p99).toBeLessThan(result.max);
  });

  test("reaches a unix socket", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-load-"));
    const path = join(directory, "s.sock");
    const local = createServer((socket) => socket.once("data", () => socket.end(ANSWER)));
    local.listen(path);
    await once(local, "listening");
    expect(await startLoad({ target: { path }, limit: 5 }).done).toMatchObject({ answered: 5, failed: 0 });
    local.close();
    rmSync(directory, { recursive: true });
    expect(await startLoad({ target: { path }, limit: 2 }).done).toMatchObject({ outcomes: { refused: 2 } });
  });

  test("reaches IPv6", async () => {
    const local = createServer((socket) => socket.once("data", () => socket.end(ANSWER)));
    local.listen(0, "::1");
    await once(local, "listening");
    const { port } = local.address() as AddressInfo;
    const { kind, target } = parseTarget(`http://[::1]:${port}/`);
    expect(kind).toBe("http");
    expect(await startLoad({ target, limit: 5 } as Parameters<typeof startLoad>[0]).done).toMatchObject({
      answered: 5,
    });
    local.close();
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
