import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  bind,
  connect,
  localAddress,
  type OwnedFd,
  type SocketAddress,
  send,
  setSocketOption,
  socket,
} from "../../../../src/ancillary/index.js";
import { countInFlight } from "../../../../src/daemon/lifecycle/in-flight.js";
import { acceptedTcp, acceptedUnix } from "../../../../src/daemon/runtime/connections/accepted-by.js";
import { holderOf } from "../../../../src/daemon/runtime/connections/open-sockets.js";
import {
  kernelTellsConnections,
  type ListenerLook,
  lookAtSockets,
} from "../../../../src/daemon/runtime/connections/sockets-look.js";
import { childrenOf } from "../../../../src/daemon/runtime/process-stat.js";
import { python } from "../../../fixtures/python.js";
import { type Scene, sceneOfEachTest } from "./worker-fixture.js";

const canLook = kernelTellsConnections();
if (!canLook) console.warn("SKIPPED: this kernel has no sock_diag(7) for TCP and unix sockets");
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("SKIPPED: looking as another user needs root to set it up");

type TcpListenerLook = Extract<ListenerLook, { kind: "tcp" }>;
type UdpSocketLook = Extract<ListenerLook, { kind: "udp" }>;

const loopback: SocketAddress = { kind: "ipv4", host: "127.0.0.1", port: 0 };
const policy = { idleMs: 50, tiedIdleMs: 200, waitFor: "requests" } as const;
let scene: Scene;

sceneOfEachTest((fresh) => {
  scene = fresh;
});

const inode = (fd: OwnedFd): bigint => fd.identity().ino;

function connectionsOf(fd: OwnedFd, ...pids: number[]) {
  return lookAtSockets([inode(fd)]).connectionsOf(pids).connections;
}

/** The count of a drain: look after look, each beside the one before. */
function counter(fd: OwnedFd, ...pids: number[]) {
  let earlier: ReturnType<typeof connectionsOf> | undefined;
  return () => {
    const now = connectionsOf(fd, ...pids);
    const count = countInFlight(now, earlier, policy);
    earlier = now;
    return count;
  };
}

const soon = { timeout: 5_000, interval: 5 };

describe.skipIf(!canLook)("a worker's connection", () => {
  test.each<[string, SocketAddress, string | undefined]>([
    ["over IPv4", loopback, undefined],
    ["over IPv6", { kind: "ipv6", host: "::1", port: 0 }, undefined],
    ["over IPv4 on a socket of both families", { kind: "ipv6", host: "::", port: 0 }, "127.0.0.1"],
    ["over IPv6 on a socket of both families", { kind: "ipv6", host: "::", port: 0 }, "::1"],
    ["to all addresses", { kind: "ipv4", host: "0.0.0.0", port: 0 }, "127.0.0.1"],
  ])("%s is in flight until it is answered, then idle", async (_how, address, host) => {
    const fd = scene.listener(address);
    const pid = await scene.worker(fd);
    const client = await scene.client(fd, host);
    const count = counter(fd, pid);
    await expect.poll(count, soon).toEqual({ inFlight: 1, idle: 0 });
    await scene.ask(client);
    await expect.poll(count, soon).toEqual({ inFlight: 0, idle: 1 });
    client.write("slow\n");
    await expect.poll(count, soon).toEqual({ inFlight: 1, idle: 0 });
    // In flight it is before the worker has read it, too.
    const read = { state: "established", bytesReceived: 10, bytesSent: 5, receiveQueueBytes: 0 };
    await expect.poll(() => connectionsOf(fd, pid)[0], soon).toMatchObject(read);
    const [look] = connectionsOf(fd, pid);
    const local = client.address() as { address: string; port: number };
    expect(look!.peer).toBe(
      local.address.includes(":") ? `[${local.address}]:${local.port}` : `${local.address}:${local.port}`,
    );
  });

  test("stays in flight for as long as its answer takes", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    const client = await scene.client(fd);
    for (let round = 0; round < 20; round++) await scene.ask(client);
    // Of one that is seen for the first time a tie is judged by its age.
    const count = counter(fd, pid);
    count();
    client.write("slow\n");
    await expect.poll(() => connectionsOf(fd, pid)[0]!.bytesReceived, soon).toBe(105);
    await expect
      .poll(() => {
        // Never idle on the way, until a tie may end: a look that comes later proves nothing.
        const counted = count();
        const { lastReceivedMs } = connectionsOf(fd, pid)[0]!;
        if (lastReceivedMs < policy.tiedIdleMs) expect(counted).toEqual({ inFlight: 1, idle: 0 });
        return lastReceivedMs;
      }, soon)
      .toBeGreaterThan(150);
  });

  test("is in flight while it is silent", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    await scene.client(fd);
    const count = counter(fd, pid);
    await expect.poll(() => connectionsOf(fd, pid)[0]?.lastSentMs, soon).toBeGreaterThan(policy.tiedIdleMs);
    expect([count(), count()]).toEqual([
      { inFlight: 1, idle: 0 },
      { inFlight: 1, idle: 0 },
    ]);
  });

  test.each([
    ["fast", { inFlight: 0, idle: 1 }],
    ["slow", { inFlight: 1, idle: 0 }],
  ])("that is half closed after a %s answer is judged like the others", async (question, wanted) => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    const client = await scene.client(fd);
    // The second question decides; it is not within a tick of the answer before, so that its age tells.
    await scene.ask(client);
    await expect.poll(counter(fd, pid), soon).toEqual({ inFlight: 0, idle: 1 });
    if (question === "fast") await scene.ask(client);
    else client.write("slow\n");
    client.end();
    await expect.poll(() => connectionsOf(fd, pid)[0]?.state, soon).toBe("close-wait");
    expect(connectionsOf(fd, pid)[0]!.bytesReceived).toBe(10);
    const count = counter(fd, pid);
    await expect.poll(() => connectionsOf(fd, pid)[0]!.lastReceivedMs, soon).toBeGreaterThan(policy.idleMs);
    await expect.poll(count, soon).toEqual(wanted);
  });

  test("that the worker does not read from is in flight", async () => {
    const fd = scene.listener(loopback);
    const idle =
      "import socket, time; s = socket.socket(fileno=3); print('x', flush=True); c = s.accept(); time.sleep(1000)";
    const pid = await scene.program(fd, [...python, "-c", idle]);
    (await scene.client(fd)).write("fast\n");
    await expect.poll(() => connectionsOf(fd, pid)[0]?.receiveQueueBytes, soon).toBe(5);
    expect(counter(fd, pid)()).toEqual({ inFlight: 1, idle: 0 });
  });

  test("is one of 32 that are kept alive", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    const clients = await Promise.all(Array.from({ length: 32 }, () => scene.client(fd)));
    await Promise.all(clients.map((client) => scene.ask(client)));
    const count = counter(fd, pid);
    await expect.poll(count, soon).toEqual({ inFlight: 0, idle: 32 });
    clients[7]!.write("slow\n");
    await expect.poll(count, soon).toEqual({ inFlight: 1, idle: 31 });
    expect(new Set(connectionsOf(fd, pid).map(({ id }) => id)).size).toBe(32);
  });

  test("is seen in a child that accepted it, and in the tree once", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd, { env: { IN_CHILD: "1" } });
    await scene.ask(await scene.client(fd));
    const [child] = childrenOf(pid);
    expect(connectionsOf(fd, pid)).toEqual([]);
    expect(connectionsOf(fd, child!)).toHaveLength(1);
    expect(connectionsOf(fd, pid, child!)).toHaveLength(1);
    const [look] = connectionsOf(fd, child!);
    expect(holderOf(look!.inode, [pid, child!])).toBe(child);
  });

  test("is none that the worker has made itself", async () => {
    const database = createServer((connection) => connection.resume()).listen(0, "127.0.0.1");
    await once(database, "listening");
    const { port } = database.address() as { port: number };
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd, { args: [String(port)] });
    expect(connectionsOf(fd, pid)).toEqual([]);
    await scene.client(fd);
    await expect.poll(() => connectionsOf(fd, pid).length, soon).toBe(1);
    await scene.end();
    database.close();
    await once(database, "close");
  });

  test("is gone once the worker has ended", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    const client = await scene.client(fd);
    await scene.ask(client);
    client.write("exit\n");
    await expect.poll(() => connectionsOf(fd, pid), soon).toEqual([]);
    expect(lookAtSockets([inode(fd)]).connectionsOf([pid])).toEqual({ connections: [], unseen: [] });
  });
});

describe.skipIf(!canLook)("a worker's unix connection", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-look-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test.each(["path", "abstract name"])("is in flight as long as it is open, by %s", async (how) => {
    const path = how === "path" ? join(folder, "s") : `@${folder}`;
    const fd = scene.listener({ kind: "unix", path }, "unix");
    const pid = await scene.worker(fd);
    expect(connectionsOf(fd, pid)).toEqual([]);
    const client = await scene.client(fd);
    await scene.ask(client);
    expect(counter(fd, pid)()).toEqual({ inFlight: 1, idle: 0 });
    expect(connectionsOf(fd, pid)).toMatchObject([{ kind: "unix", local: path, state: "established" }]);
  });
});

describe.skipIf(!canLook)("a listening socket", () => {
  test("shows what waits to be accepted, by the ids that the connections have later", async () => {
    const fd = scene.listener(loopback);
    await scene.client(fd);
    const look = lookAtSockets([inode(fd)]).listener(inode(fd));
    expect(look).toMatchObject({ kind: "tcp", queued: 1, backlog: 128, drops: 0, handshakes: [] });
    const pid = await scene.worker(fd);
    await expect
      .poll(() => connectionsOf(fd, pid).map(({ id }) => id), soon)
      .toEqual((look as TcpListenerLook).waiting);
    expect(lookAtSockets([inode(fd)]).listener(inode(fd))).toMatchObject({ queued: 0, waiting: [] });
  });

  test.each<[string, SocketAddress, string]>([
    ["IPv4", loopback, "127.0.0.1"],
    ["both families", { kind: "ipv6", host: "::", port: 0 }, "127.0.0.1"],
  ])("shows handshakes that have begun, on %s", async (_family, address, host) => {
    const fd = scene.listener(address);
    setSocketOption(fd, "TCP_DEFER_ACCEPT", 30); // Without data the kernel does not end the handshake.
    const client = await scene.client(fd, host);
    const look = lookAtSockets([inode(fd)]).listener(inode(fd)) as TcpListenerLook;
    expect(look).toMatchObject({ queued: 0, waiting: [] });
    expect(look.handshakes).toHaveLength(1);
    client.write("fast\n");
    await expect
      .poll(() => (lookAtSockets([inode(fd)]).listener(inode(fd)) as TcpListenerLook).waiting, soon)
      .toEqual(look.handshakes);
  });

  test("shows nothing of another address with the same port", async () => {
    const fd = scene.listener(loopback);
    const { port } = localAddress(fd) as { port: number };
    const other = scene.listener({ kind: "ipv4", host: "127.0.0.2", port });
    await scene.client(other);
    const look = lookAtSockets([inode(fd), inode(other)]);
    expect(look.listener(inode(fd))).toMatchObject({ queued: 0, waiting: [] });
    expect(look.listener(inode(other))).toMatchObject({ queued: 1, waiting: [expect.any(String)] });
  });

  test("of family unix shows how many wait", async () => {
    const fd = scene.listener({ kind: "unix", path: `@holdfast-look-${process.pid}` }, "unix");
    await scene.client(fd);
    expect(lookAtSockets([inode(fd)]).listener(inode(fd))).toMatchObject({ kind: "unix", queued: 1, backlog: 128 });
  });

  test("for datagrams shows the bytes that wait and what was thrown away", async () => {
    using fd = socket("udp", "ipv4");
    setSocketOption(fd, "SO_RCVBUF", 2304);
    bind(fd, loopback);
    using client = socket("udp", "ipv4");
    connect(client, localAddress(fd));
    expect(lookAtSockets([inode(fd)]).listener(inode(fd))).toMatchObject({ kind: "udp", queuedBytes: 0, drops: 0 });
    for (let n = 0; n < 50; n++) send(client, { data: Buffer.alloc(100) });
    const look = lookAtSockets([inode(fd)]).listener(inode(fd)) as UdpSocketLook;
    expect(look.queuedBytes).toBeGreaterThan(100);
    expect(look.drops).toBeGreaterThan(10);
  });

  test("that was not asked for is not told of", () => {
    const fd = scene.listener(loopback);
    expect(lookAtSockets([]).listener(inode(fd))).toBeUndefined();
  });
});

describe.skipIf(!canLook)("a connection of our own", () => {
  test.each<[string, SocketAddress, string]>([
    ["IPv4", loopback, "127.0.0.1"],
    ["IPv6", { kind: "ipv6", host: "::1", port: 0 }, "::1"],
    ["IPv4 on a socket of both families", { kind: "ipv6", host: "::", port: 0 }, "127.0.0.1"],
  ])("is found in the process that accepted it, over %s", async (_how, address, host) => {
    const fd = scene.listener(address);
    const client = await scene.client(fd, host);
    const kind = host.includes(":") ? ("ipv6" as const) : ("ipv4" as const);
    const ends = [
      { kind, host: client.localAddress!, port: client.localPort! },
      { kind, host: client.remoteAddress!, port: client.remotePort! },
    ] as const;
    expect(acceptedTcp(...ends)).toBe("waiting");
    const pid = await scene.worker(fd);
    await expect.poll(() => acceptedTcp(...ends), soon).toMatchObject({ inode: expect.any(BigInt) });
    const { inode: end } = acceptedTcp(...ends) as { inode: bigint };
    expect(holderOf(end, [process.pid, pid])).toBe(pid);
    expect(holderOf(end, [process.pid])).toBeUndefined();
    expect(acceptedTcp({ ...ends[0], port: 1 }, ends[1])).toBeUndefined();
  });

  test.each(["unix", "unix-seqpacket"] as const)("is found over %s", async (kind) => {
    const path = `@holdfast-accepted-${process.pid}`;
    const fd = scene.listener({ kind: "unix", path }, kind);
    using client = socket(kind, "unix");
    expect(acceptedUnix(inode(client))).toBeUndefined();
    connect(client, { kind: "unix", path });
    expect(acceptedUnix(inode(client))).toBe("waiting");
    const pid = await scene.worker(fd);
    await expect.poll(() => acceptedUnix(inode(client)), soon).toMatchObject({ inode: expect.any(BigInt) });
    expect(holderOf((acceptedUnix(inode(client)) as { inode: bigint }).inode, [pid])).toBe(pid);
  });
});

describe.skipIf(!canLook || !isRoot)("without privilege", () => {
  afterEach(() => {
    process.seteuid!(0);
    process.setegid!(0);
  });

  test("a worker of the same user is seen, and one of root's is named as not seen", async () => {
    const [own, foreign] = [scene.listener(loopback), scene.listener(loopback)];
    const pids = [await scene.worker(own, { uid: 65534 }), await scene.worker(foreign)];
    await scene.ask(await scene.client(own));
    await scene.ask(await scene.client(foreign));
    process.setegid!(65534);
    process.seteuid!(65534);
    const look = lookAtSockets([inode(own), inode(foreign)]);
    const { connections, unseen } = look.connectionsOf(pids);
    expect(connections).toMatchObject([{ bytesReceived: 5, bytesSent: 5 }]);
    expect(unseen).toEqual([pids[1]]);
    expect(look.listener(inode(foreign))).toMatchObject({ kind: "tcp", queued: 0, backlog: 128 });
    expect(holderOf(1n, pids)).toBe("unseen");
  });
});
