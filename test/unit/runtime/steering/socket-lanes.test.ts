import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../../bench/lib/until.mjs";
import { accept, localAddress, type OwnedFd, pollReadable } from "../../../../src/ancillary/index.js";
import type { SocketConfig } from "../../../../src/daemon/config/config.js";
import { openLane, openSocket } from "../../../../src/daemon/runtime/socket-opener.js";
import { laneKey, SocketLanes } from "../../../../src/daemon/runtime/steering/socket-lanes.js";
import { probeSource } from "../../../../src/daemon/runtime/steering/steering-program.js";
import { descriptorCensus } from "../fixtures/census.js";

function steered(kind: "tcp" | "udp", host: string): SocketConfig {
  return {
    name: "web",
    listen: [{ kind, host, port: 0, family: host.includes(":") ? "ipv6" : "ipv4" }],
    listenText: [`${kind}://${host}:0`],
    backlog: 128,
    distribution: "steered",
    mode: 0o660,
    symlinks: [],
    removeOnStop: true,
    options: {},
  };
}

let noDescriptorIsLeft: () => void;
let first: OwnedFd;
let lanes: SocketLanes;
let held: string[];
let clients: Socket[];

beforeEach(() => {
  noDescriptorIsLeft = descriptorCensus();
  clients = [];
  held = [];
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await Promise.all(clients.map((client) => (client.closed ? undefined : once(client, "close"))));
  lanes.close();
  first.close();
  noDescriptorIsLeft();
});

function open(kind: "tcp" | "udp", host: string, count: number): number {
  const config = steered(kind, host);
  first = openSocket(config, 0, {}).fd;
  lanes = new SocketLanes(
    { key: "socket/web/a", open: () => openLane({ config, index: 0 }, first), hold: (key) => held.push(key) },
    [first],
  );
  lanes.key(count);
  return (localAddress(first) as { readonly port: number }).port;
}

async function connect(port: number, host: string, localAddress?: string): Promise<void> {
  const client = connectTcp({ port, host, ...(localAddress === undefined ? {} : { localAddress }) });
  clients.push(client);
  await once(client, "connect");
}

/** How many connections wait in each lane; they are taken out. */
function takeAll(): number[] {
  return lanes.all().map((fd) => {
    let count = 0;
    for (;;) {
      const connection = accept(fd);
      if (connection === "would-block") return count;
      connection.close();
      count += 1;
    }
  });
}

describe("the lanes of a steered tcp socket", () => {
  test("are held by the keeper, in order, before a worker hears of them", () => {
    open("tcp", "127.0.0.1", 3);
    expect(held).toEqual(["socket/web/a%2", "socket/web/a%3"]);
    expect(laneKey("socket/web/a", 1)).toBe("socket/web/a");
    expect(lanes.otherKeys()).toEqual(held);
  });

  test.each(["127.0.0.1", "::1", "::"])("get what they are to get and nothing else, at %s", async (host) => {
    const port = open("tcp", host, 3);
    const target = host === "::" ? "127.0.0.1" : host;
    lanes.steer([{ lane: 2, weight: 1 }]);
    for (let i = 0; i < 20; i += 1) await connect(port, target);
    expect(takeAll()).toEqual([0, 20, 0]);
    lanes.steer([
      { lane: 1, weight: 1 },
      { lane: 3, weight: 1 },
    ]);
    for (let i = 0; i < 60; i += 1) await connect(port, target);
    const [one, two, three] = takeAll();
    expect(two).toBe(0);
    expect(one! + three!).toBe(60);
    // Fewer than 10 of 60 for one of two equal lanes has a chance of about 1 in 10 million.
    expect(Math.min(one!, three!)).toBeGreaterThanOrEqual(10);
  });

  test("can be reached one by one by a probe", async () => {
    const port = open("tcp", "127.0.0.1", 3);
    lanes.steer([{ lane: 1, weight: 1 }]);
    for (const lane of [3, 2, 3]) await connect(port, "127.0.0.1", probeSource(lane));
    expect(takeAll()).toEqual([0, 1, 2]);
  });

  test("keep what waits while another one gets what is new", async () => {
    const port = open("tcp", "127.0.0.1", 2);
    lanes.steer([{ lane: 1, weight: 1 }]);
    for (let i = 0; i < 5; i += 1) await connect(port, "127.0.0.1");
    lanes.steer([{ lane: 2, weight: 1 }]);
    for (let i = 0; i < 3; i += 1) await connect(port, "127.0.0.1");
    expect(takeAll()).toEqual([5, 3]);
  });

  test("are opened when they are steered to", async () => {
    const port = open("tcp", "127.0.0.1", 1);
    lanes.steer([{ lane: 4, weight: 1 }]);
    expect(lanes.count).toBe(4);
    await connect(port, "127.0.0.1");
    expect(takeAll()).toEqual([0, 0, 0, 1]);
  });
});

describe("the lanes of a steered udp socket", () => {
  test("get what they are to get, each datagram by itself", async () => {
    const port = open("udp", "127.0.0.1", 2);
    lanes.steer([{ lane: 2, weight: 1 }]);
    const client = createSocket("udp4");
    client.send("a", port, "127.0.0.1");
    await until("the datagram", () => pollReadable(lanes.fd(2)!));
    expect(pollReadable(lanes.fd(1)!)).toBe(false);
    lanes.steer([{ lane: 1, weight: 1 }]);
    client.send("b", port, "127.0.0.1");
    await until("the datagram", () => pollReadable(lanes.fd(1)!));
    client.close();
    await once(client, "close");
  });
});

describe("a steered address that somebody else serves", () => {
  test("is not joined, although the kernel would allow it", () => {
    const port = open("tcp", "127.0.0.1", 1);
    const config = { ...steered("tcp", "127.0.0.1"), listenText: [`tcp://127.0.0.1:${port}`] };
    const listen = [{ kind: "tcp", host: "127.0.0.1", port, family: "ipv4" }] as const;
    expect(() => openSocket({ ...config, listen }, 0, {})).toThrow(/in use by/);
  });
});
