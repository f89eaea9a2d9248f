import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Counted } from "../../../bench/lib/counted.mjs";
import { continuesPattern, FROM_SERVER, patternBytes } from "../../../bench/lib/pattern.mjs";
import { startLongLivedLoad } from "../../../bench/load.mjs";

let server: Server;

async function listen(handle: (socket: Socket, number: number) => void) {
  let number = 0;
  server = createServer((socket) => {
    number += 1;
    socket.on("error", () => {}); // The other side may reset what this side breaks on purpose.
    handle(socket, number);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

afterEach(() => {
  server.close();
});

const some = { connections: 20, rate: 1000, limit: 200, size: 32, drainMs: 200 };
const clean = { connections: 20, refused: 0, closed: 0, reset: 0, wrong: 0, lostBytes: 0, failed: 0 };

/** Answers like `Counted`, but the bytes that `alter` returns. */
function answers(socket: Socket, alter: (bytes: Buffer, position: number) => Buffer): void {
  let position = 0;
  socket.on("data", (bytes) => {
    socket.write(alter(patternBytes(FROM_SERVER, position, bytes.length), position));
    position += bytes.length;
  });
}

describe("a load of connections that stay", () => {
  test("counts each byte both ways", async () => {
    const sides: Counted[] = [];
    const target = await listen((socket) => sides.push(new Counted(socket)));
    const result = await startLongLivedLoad({ target, ...some }).done;
    expect(result).toMatchObject({ ...clean, messages: 200, unsent: 0, bytes: 6400 });
    expect(sides.reduce((total, { position }) => total + position, 0)).toBe(6400);
    expect(result.p50).toBeGreaterThan(0);
  });

  test("goes on with a server that knows nothing but how far it was", async () => {
    const target = await listen((socket) => {
      const first = new Counted(socket);
      socket.once("data", () => {
        socket.removeAllListeners("data");
        new Counted(socket, first.position);
      });
    });
    expect(await startLongLivedLoad({ target, ...some }).done).toMatchObject(clean);
  });

  test("tells a server that forgot how far it was", async () => {
    const target = await listen((socket, number) => {
      new Counted(socket);
      if (number !== 3) return;
      socket.once("data", () => {
        socket.removeAllListeners("data");
        new Counted(socket);
      });
    });
    expect(await startLongLivedLoad({ target, ...some }).done).toMatchObject({
      ...clean,
      reset: 1,
      failed: 1,
      lostBytes: expect.any(Number),
    });
  });

  test.each([
    ["closed", (socket: Socket) => socket.end(), { closed: 1 }],
    ["reset", (socket: Socket) => socket.resetAndDestroy(), { reset: 1 }],
  ])("counts one that is %s", async (_, breaks, counts) => {
    const target = await listen((socket, number) => {
      if (number === 2) socket.once("data", () => breaks(socket));
      else new Counted(socket);
    });
    const result = await startLongLivedLoad({ target, ...some }).done;
    expect(result).toMatchObject({ ...clean, ...counts, failed: 1, lostBytes: expect.any(Number) });
    expect(result.lostBytes).toBeGreaterThanOrEqual(32); // The message that it did not answer, and what was under way.
    expect(result.unsent).toBeGreaterThan(0);
  });

  test.each([
    ["lost", (bytes: Buffer) => bytes.subarray(1)],
    ["doubled", (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 1), bytes])],
    ["changed", (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])])],
  ])("tells a byte that is %s", async (_, alter) => {
    const target = await listen((socket, number) =>
      answers(socket, (bytes, position) => (number === 5 && position >= 64 ? alter(bytes) : bytes)),
    );
    expect(await startLongLivedLoad({ target, ...some }).done).toMatchObject({
      ...clean,
      wrong: 1,
      failed: 1,
      lostBytes: expect.any(Number),
    });
  });

  test("tells last bytes that never come", async () => {
    // Ten messages of 32 bytes.
    const target = await listen((socket, number) =>
      answers(socket, (bytes, position) => (number === 5 ? bytes.subarray(0, 318 - position) : bytes)),
    );
    expect(await startLongLivedLoad({ target, ...some }).done).toMatchObject({ ...clean, failed: 1, lostBytes: 2 });
  });

  test("counts those that are refused", async () => {
    const target = await listen(() => {});
    server.close();
    await once(server, "close");
    expect(await startLongLivedLoad({ target, ...some, limit: 1 }).done).toMatchObject({
      connections: 0,
      refused: 20,
      failed: 20,
    });
  });
});

describe("the pattern", () => {
  test("shows a gap of any length", () => {
    const begins = patternBytes(FROM_SERVER, 0, 64);
    const same: number[] = [];
    for (let gap = 1; gap < 65_536; gap++) if (continuesPattern(FROM_SERVER, gap, begins)) same.push(gap);
    expect(same).toEqual([]);
  });
});
