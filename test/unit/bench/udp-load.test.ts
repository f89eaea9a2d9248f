import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { startUdpLoad } from "../../../bench/load.mjs";

type Send = (bytes: Buffer) => void;

let server: Socket | undefined;

/** An echo server whose answers `handle` decides; `number` counts the datagrams from 1. */
async function listen(handle: (bytes: Buffer, send: Send, number: number) => void) {
  const socket = createSocket("udp4");
  let number = 0;
  socket.on("message", (bytes: Buffer, from: RemoteInfo) => {
    number += 1;
    handle(bytes, (answer) => socket.send(answer, from.port, from.address), number);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  server = socket;
  return { host: "127.0.0.1", port: socket.address().port };
}

afterEach(() => {
  server?.close();
  server = undefined;
});

const some = { flows: 4, limit: 100, drainMs: 100 };
const clean = {
  sent: 100,
  answered: 100,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  wrong: 0,
  sendErrors: 0,
  droppedHere: 0,
};

describe("a load of datagrams", () => {
  test("counts answers", async () => {
    const target = await listen((bytes, send) => send(bytes));
    const result = await startUdpLoad({ target, ...some }).done;
    expect(result).toMatchObject({ ...clean, moves: 0, workers: {} });
    expect(result.p50).toBeGreaterThan(0);
  });

  test("counts what is lost", async () => {
    const target = await listen((bytes, send, number) => number % 10 !== 0 && send(bytes));
    expect(await startUdpLoad({ target, ...some }).done).toMatchObject({ ...clean, answered: 90, lost: 10 });
  });

  test("counts what comes twice", async () => {
    const target = await listen((bytes, send, number) => {
      send(bytes);
      if (number % 20 === 0) send(bytes);
    });
    expect(await startUdpLoad({ target, ...some }).done).toMatchObject({ ...clean, duplicated: 5 });
  });

  test("counts what is overtaken within its flow", async () => {
    let held: Buffer | undefined;
    const target = await listen((bytes, send, number) => {
      if (number === 5) {
        held = bytes;
        return;
      }
      send(bytes);
      if (number === 9 && held !== undefined) send(held); // The next of the same flow, four flows later.
    });
    expect(await startUdpLoad({ target, ...some }).done).toMatchObject({ ...clean, reordered: 1 });
  });

  test("counts what comes back changed", async () => {
    const target = await listen((bytes, send, number) => {
      if (number === 3) bytes[bytes.length - 1]! ^= 1;
      send(number === 7 ? bytes.subarray(0, 10) : bytes);
    });
    expect(await startUdpLoad({ target, ...some }).done).toMatchObject({ ...clean, answered: 98, lost: 2, wrong: 2 });
  });

  test("counts who answered, and how often that changed within a flow", async () => {
    const target = await listen((bytes, send, number) =>
      send(Buffer.concat([bytes, Buffer.from(number <= 60 ? " 71" : " 72")])),
    );
    const result = await startUdpLoad({ target, ...some }).done;
    expect(result).toMatchObject({ ...clean, moves: 4, workers: { 71: 60, 72: 40 } });
  });

  test("counts datagrams that met nobody", async () => {
    const target = await listen(() => {});
    server!.close();
    await once(server!, "close");
    server = undefined;
    const result = await startUdpLoad({ target, ...some }).done;
    expect(result).toMatchObject({ lost: 100 });
    expect(result.errors.ECONNREFUSED).toBeGreaterThan(0);
  });
});
