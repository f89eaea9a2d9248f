import { readdirSync, readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import type { Fd } from "../../../../src/ancillary/index.js";
import { numberOf } from "../../../../src/ancillary/owned-fd.js";
import { kernelTellsConnections, lookAtSockets } from "../../../../src/daemon/runtime/connections/sockets-look.js";
import { closeConnections } from "../../../../src/daemon/runtime/drain/close-connections.js";
import type { ConnectionRecord } from "../../../../src/daemon/runtime/keeper/records.js";
import { type Scene, sceneOfEachTest } from "../connections/worker-fixture.js";

const canLook = kernelTellsConnections();
if (!canLook) console.warn("SKIPPED: this kernel has no sock_diag(7) for TCP and unix sockets");

const loopback = { kind: "ipv4", host: "127.0.0.1", port: 0 } as const;
/** Accepts as many connections as it is told, and has each at a second number as well. */
const ACCEPTS_TWICE = `
import os, socket, sys, threading
s = socket.socket(fileno=3)
print("x", flush=True)
kept = [s.accept()[0] for _ in range(int(sys.argv[1]))]
kept += [os.dup(c.fileno()) for c in kept]
threading.Event().wait()
`;

import { python } from "../../../fixtures/python.js";

interface Asked {
  readonly connections: readonly ConnectionRecord[];
  readonly pid: number;
}

let scene: Scene;
let asked: Asked[];
/** What the keeper would be asked. */
const keeper = {
  shut: async (connections: readonly ConnectionRecord[], pidfd: Fd): Promise<number[]> => {
    const info = readFileSync(`/proc/self/fdinfo/${numberOf(pidfd)}`, "latin1");
    asked.push({ connections, pid: Number(/^Pid:\s+(\d+)/m.exec(info)?.[1]) });
    return connections.map(() => 0);
  },
};

sceneOfEachTest((fresh) => {
  scene = fresh;
});

beforeEach(() => {
  asked = [];
});

async function accepted(count: number) {
  const fd = scene.listener(loopback);
  const pid = await scene.program(fd, [...python, "-c", ACCEPTS_TWICE, String(count)]);
  for (let index = 0; index < count; index += 1) await scene.client(fd);
  const connections = () => lookAtSockets([fd.identity().ino]).connectionsOf([pid]).connections;
  await expect.poll(() => connections().length, { timeout: 10_000, interval: 5 }).toBe(count);
  await expect.poll(() => readdirSync(`/proc/${pid}/fd`).length).toBeGreaterThan(2 * count + 3);
  return { pid, connections: connections() };
}

describe.skipIf(!canLook)("closing connections of a worker", () => {
  test("asks once for a connection that has several numbers, and names its inode with the number", async () => {
    const { pid, connections } = await accepted(2);
    await closeConnections(keeper, [pid], connections);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ pid });
    expect(new Set(asked[0]!.connections.map(({ inode }) => inode))).toEqual(
      new Set(connections.map(({ inode }) => inode)),
    );
    expect(asked[0]!.connections).toHaveLength(2);
  });

  test("asks for what is named, and for nothing else of the process", async () => {
    const { pid, connections } = await accepted(3);
    const [one] = connections;
    await closeConnections(keeper, [pid], [one!]);
    expect(asked.flatMap(({ connections: some }) => some.map(({ inode }) => inode))).toEqual([one!.inode]);
  });

  test("finds them in whatever process has them, each in one", async () => {
    const [first, second] = [await accepted(1), await accepted(1)];
    const both = [...first.connections, ...second.connections];
    await closeConnections(keeper, [first.pid, process.pid, second.pid], both);
    expect(asked.map(({ pid }) => pid)).toEqual([first.pid, second.pid]);
  });

  test("asks for nothing where there is nothing, and nobody who has ended", async () => {
    const { pid, connections } = await accepted(1);
    await closeConnections(keeper, [pid], []);
    await closeConnections(keeper, [process.pid], connections);
    await scene.end();
    await closeConnections(keeper, [pid], connections);
    expect(asked).toEqual([]);
  });

  test("asks in frames of 256", async () => {
    const { pid, connections } = await accepted(300);
    await closeConnections(keeper, [pid], connections);
    expect(asked.map(({ connections: some }) => some.length)).toEqual([256, 44]);
    expect(new Set(asked.flatMap(({ connections: some }) => some.map(({ inode }) => inode))).size).toBe(300);
  });
});
