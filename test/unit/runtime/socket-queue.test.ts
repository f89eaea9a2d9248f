import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, type NetConnectOpts, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  bind,
  connect,
  listen,
  localAddress,
  type OwnedFd,
  type SocketAddress,
  type SocketKind,
  send,
  setSocketOption,
  socket,
} from "../../../src/ancillary/index.js";
import { kernelTellsConnections } from "../../../src/daemon/runtime/connections/sockets-look.js";
import { queueLooks } from "../../../src/daemon/runtime/socket-queue.js";
import { newDescriptors, openDescriptors } from "../ancillary/census.js";

const canLook = kernelTellsConnections();
if (!canLook) console.warn("SKIPPED: this kernel has no sock_diag(7): drops are not told");

const loopback: SocketAddress = { kind: "ipv4", host: "127.0.0.1", port: 0 };
let fds: OwnedFd[];
let clients: Socket[];
let folder: string;
let before: ReturnType<typeof openDescriptors>;

beforeEach(() => {
  before = openDescriptors();
  fds = [];
  clients = [];
  folder = mkdtempSync(join(tmpdir(), "queue-"));
});

afterEach(async () => {
  for (const client of clients.filter(({ closed }) => !closed)) {
    const closed = once(client, "close");
    client.destroy();
    await closed;
  }
  for (const fd of fds) fd.close();
  rmSync(folder, { recursive: true });
  expect(newDescriptors(before)).toEqual([]);
});

function bound(kind: SocketKind, address: SocketAddress, backlog?: number): OwnedFd {
  const fd = socket(kind, address.kind);
  fds.push(fd);
  bind(fd, address);
  if (backlog !== undefined) listen(fd, backlog);
  return fd;
}

function port(fd: OwnedFd): number {
  return (localAddress(fd) as { port: number }).port;
}

async function knock(to: NetConnectOpts): Promise<void> {
  const client = createConnection(to);
  clients.push(client);
  await once(client, "connect");
}

describe("one look at several sockets", () => {
  test("tells for each, in their order, how many connections wait", async () => {
    const path = join(folder, "s");
    const [tcp, tcp6, unix, udp] = [
      bound("tcp", loopback, 16),
      bound("tcp", { kind: "ipv6", host: "::1", port: 0 }, 16),
      bound("unix", { kind: "unix", path }, 16),
      bound("udp", loopback),
    ];
    await Promise.all([
      knock({ host: "127.0.0.1", port: port(tcp) }),
      knock({ host: "127.0.0.1", port: port(tcp) }),
      knock({ host: "::1", port: port(tcp6) }),
      ...[1, 2, 3].map(() => knock({ path })),
    ]);
    const queued = [undefined, canLook ? 3 : undefined, 1, 2];
    expect(queueLooks([udp, unix, tcp6, tcp]).map((look) => look.queued)).toEqual(queued);
  });

  test("knows nothing of a socket that does not listen, and of none nothing", () => {
    expect(queueLooks([bound("tcp", loopback)])).toEqual([{ queued: undefined, drops: 0 }]);
    expect(queueLooks([])).toEqual([]);
  });

  test.skipIf(!canLook)("counts the connections that the kernel has dropped because the queue was full", async () => {
    const fd = bound("tcp", loopback, 1);
    const to = { host: "127.0.0.1", port: port(fd) };
    await Promise.all([knock(to), knock(to)]);
    const refused = createConnection(to);
    clients.push(refused);
    await expect.poll(() => queueLooks([fd])[0]?.drops).toBeGreaterThan(0);
    expect(queueLooks([fd])[0]?.queued).toBe(2);
    expect(refused.connecting).toBe(true);
  });

  test.skipIf(!canLook)("counts the datagrams that the kernel has dropped", () => {
    const fd = bound("udp", loopback);
    setSocketOption(fd, "SO_RCVBUF", 2304);
    const sender = bound("udp", loopback);
    connect(sender, localAddress(fd));
    for (let n = 0; n < 50; n++) send(sender, { data: Buffer.alloc(100) });
    expect(queueLooks([fd])[0]).toMatchObject({ queued: undefined, drops: expect.toSatisfy((drops) => drops > 0) });
  });
});
