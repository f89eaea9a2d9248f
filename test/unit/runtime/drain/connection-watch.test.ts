import { describe, expect, test } from "vitest";
import { until } from "../../../../bench/lib/until.mjs";
import {
  bind,
  connect,
  localAddress,
  type OwnedFd,
  send,
  setSocketOption,
  socket,
} from "../../../../src/ancillary/index.js";
import type { DrainPolicy } from "../../../../src/daemon/config/config.js";
import { kernelTellsConnections } from "../../../../src/daemon/runtime/connections/sockets-look.js";
import { ConnectionWatch } from "../../../../src/daemon/runtime/drain/connection-watch.js";
import { type Scene, sceneOfEachTest } from "../connections/worker-fixture.js";

const canLook = kernelTellsConnections();
if (!canLook) console.warn("SKIPPED: this kernel has no sock_diag(7) for TCP and unix sockets");

const loopback = { kind: "ipv4", host: "127.0.0.1", port: 0 } as const;
const policy: DrainPolicy = { when: "auto", timeoutMs: 30_000, idleMs: 50, waitFor: "requests" };
const soon = { timeout: 10_000, interval: 5 };
let scene: Scene;

sceneOfEachTest((fresh) => {
  scene = fresh;
});

function watch(fd: OwnedFd, steered: boolean): ConnectionWatch {
  const listeners = [fd.identity().ino];
  return new ConnectionWatch({ listeners, own: steered ? listeners : [] });
}

describe.skipIf(!canLook)("the watch over a worker that drains", () => {
  test("counts each connection once among those that it has seen, and not those that were idle", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    const idle = await scene.client(fd);
    await scene.ask(idle);
    const watched = watch(fd, false);
    await expect.poll(() => watch(fd, false).look([pid], policy).inFlight, soon).toBe(0);
    expect(watched.look([pid], policy)).toEqual({ inFlight: 0, seen: 0, open: 1, waiting: 0, closed: 0 });

    const [one, two] = [await scene.client(fd), await scene.client(fd)];
    await expect.poll(() => watched.look([pid], policy), soon).toMatchObject({ inFlight: 2, seen: 2, open: 3 });
    await scene.ask(one);
    await scene.ask(one);
    await expect.poll(() => watched.look([pid], policy), soon).toMatchObject({ inFlight: 1, seen: 2, open: 3 });
    await scene.ask(two);
    await expect.poll(() => watched.look([pid], policy), soon).toMatchObject({ inFlight: 0, seen: 2, open: 3 });
  });

  test("counts every open one where connections are waited for", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    const client = await scene.client(fd);
    await scene.ask(client);
    const watched = watch(fd, false);
    const all = { ...policy, waitFor: "connections" } as const;
    await expect.poll(() => watched.look([pid], policy).inFlight, soon).toBe(0);
    expect(watched.look([pid], all)).toMatchObject({ inFlight: 1, open: 1 });
  });

  test("counts what waits in a socket of its own, which nobody else will accept, and not in a shared one", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, ["sh", "-c", "echo x; exec sleep 60"]);
    await scene.client(fd);
    await scene.client(fd);
    expect(watch(fd, true).look([pid], policy)).toEqual({ inFlight: 2, seen: 0, open: 2, waiting: 2, closed: 0 });
    expect(watch(fd, false).look([pid], policy)).toEqual({ inFlight: 0, seen: 0, open: 0, waiting: 0, closed: 0 });
  });

  test("does not count what waits in a shared socket beside one of its own", async () => {
    const [own, shared] = [scene.listener(loopback), scene.listener(loopback)];
    const pid = await scene.program(own, ["sh", "-c", "echo x; exec sleep 60"]);
    await scene.client(shared);
    const inodes = [own, shared].map((fd) => fd.identity().ino);
    const watched = new ConnectionWatch({ listeners: inodes, own: inodes.slice(0, 1) });
    expect(watched.look([pid], policy)).toEqual({ inFlight: 0, seen: 0, open: 0, waiting: 0, closed: 0 });
    await scene.client(own);
    expect(watched.look([pid], policy)).toMatchObject({ inFlight: 1, waiting: 1 });
  });

  test("has what waited among the accepted ones once it is accepted", async () => {
    const fd = scene.listener(loopback);
    await scene.client(fd);
    const watched = watch(fd, true);
    expect(watched.look([process.pid], policy)).toMatchObject({ inFlight: 1, seen: 0, waiting: 1 });
    const pid = await scene.worker(fd);
    await expect
      .poll(() => watched.look([pid], policy), soon)
      .toEqual({ inFlight: 1, seen: 1, open: 1, waiting: 0, closed: 0 });
  });

  test("waits for handshakes that had begun at its first look, and for none that begin later", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, ["sh", "-c", "echo x; exec sleep 60"]);
    setSocketOption(fd, "TCP_DEFER_ACCEPT", 30); // Without data the kernel does not end the handshake.
    const early = await scene.client(fd);
    const watched = watch(fd, true);
    expect(watched.look([pid], policy)).toMatchObject({ inFlight: 1, waiting: 1 });
    await scene.client(fd);
    expect(watched.look([pid], policy)).toMatchObject({ inFlight: 1, waiting: 1 });
    early.write("fast\n"); // Now it is in the queue, and no handshake any more.
    await expect.poll(() => watch(fd, false).look([pid], policy).open, soon).toBe(0);
    expect(watched.look([pid], policy)).toMatchObject({ inFlight: 1, waiting: 1 });
  });

  test("counts datagrams that wait as one", async () => {
    const fd = socket("udp", "ipv4");
    bind(fd, loopback);
    const client = socket("udp", "ipv4");
    connect(client, localAddress(fd));
    for (let i = 0; i < 5; i++) send(client, { data: Buffer.from("x") });
    expect(watch(fd, true).look([process.pid], policy)).toMatchObject({ inFlight: 1, waiting: 1 });
    expect(watch(fd, false).look([process.pid], policy)).toMatchObject({ inFlight: 0, waiting: 0 });
    client.close();
    fd.close();
  });
});

describe.skipIf(!canLook)("connections that may be closed", () => {
  test("are those that were answered, also if they are too fresh to be idle, and not one that was asked again at once", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    const [answered, busy] = [await scene.client(fd), await scene.client(fd), await scene.client(fd)];
    const patient = { ...policy, idleMs: 20_000 };
    await expect.poll(() => watch(fd, false).look([pid], patient).open, soon).toBe(3); // It has accepted them all.
    const watched = watch(fd, false);
    const portOf = ({ localPort }: typeof busy): string => `127.0.0.1:${localPort}`;
    const askedAt = performance.now();
    await scene.ask(answered);
    for (let round = 0; round < 5; round++) await scene.ask(busy);
    busy.write("slow\n");
    await until("the answered one may be closed", () => {
      expect(watched.look([pid], patient)).toEqual({ inFlight: 3, seen: 3, open: 3, waiting: 0, closed: 0 });
      const closable = watched.closable().map(({ peer }) => peer);
      // The answer and the next question may have the same time: then it is told from an idle one by its age alone.
      if (performance.now() - askedAt < 900) expect(closable).not.toContain(portOf(busy));
      return performance.now() - askedAt > 300 && closable.includes(portOf(answered));
    });
  });

  test("are none that only wait, and none of unix sockets, of which the kernel does not tell enough", async () => {
    const fd = scene.listener({ kind: "unix", path: `@closable-${process.pid}` }, "unix");
    const pid = await scene.worker(fd);
    const client = await scene.client(fd);
    await scene.ask(client);
    const watched = watch(fd, false);
    expect(watched.look([pid], policy)).toMatchObject({ inFlight: 1, open: 1 });
    watched.look([pid], policy);
    expect(watched.closable()).toEqual([]);
  });
});
