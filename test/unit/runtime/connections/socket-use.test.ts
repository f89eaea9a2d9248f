import { describe, expect, test } from "vitest";
import { localAddress, type OwnedFd, type SocketAddress } from "../../../../src/ancillary/index.js";
import { type SocketUse, socketUseOf } from "../../../../src/daemon/runtime/connections/socket-use.js";
import { socketUseInWords } from "../../../../src/daemon/runtime/connections/socket-use-words.js";
import { kernelTellsConnections } from "../../../../src/daemon/runtime/connections/sockets-look.js";
import { childrenOf } from "../../../../src/daemon/runtime/process-stat.js";
import { python } from "../../../fixtures/python.js";
import { type Scene, sceneOfEachTest } from "./worker-fixture.js";

const canLook = kernelTellsConnections();
if (!canLook) console.warn("SKIPPED: this kernel has no sock_diag(7) for TCP and unix sockets");
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("SKIPPED: looking as another user needs root to set it up");

const loopback: SocketAddress = { kind: "ipv4", host: "127.0.0.1", port: 0 };
const soon = { timeout: 5_000, interval: 5 };
let scene: Scene;

sceneOfEachTest((fresh) => {
  scene = fresh;
});

/** It has `fd` as descriptor 3, runs the text, says so and waits. */
function program(fd: OwnedFd, text: string): Promise<number> {
  const lines = `import os, socket, time\n${text}\nprint("x", flush=True)\ntime.sleep(1000)`;
  return scene.program(fd, [...python, "-c", lines]);
}

const use = (fd: OwnedFd, ...pids: number[]): SocketUse => socketUseOf(pids, [fd.identity()]);

/** A port of 127.0.0.1 that nobody has at this moment. */
function freePort(): number {
  const { port } = localAddress(scene.listener(loopback)) as { port: number };
  return port;
}

describe.skipIf(!canLook)("a program that is given a socket", () => {
  test("and uses it, is not complained of", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    await expect.poll(() => use(fd, pid), soon).toEqual({ holds: "yes", waits: "yes", own: [] });
    expect(socketUseInWords(use(fd, pid), ["tcp://127.0.0.1:80"])).toBeUndefined();
  });

  test("and binds its own port instead, is told of with that port", async () => {
    const fd = scene.listener(loopback);
    const text =
      'require("http").createServer().listen(0, "127.0.0.1", function () { console.log(this.address().port); })';
    const pid = await scene.program(fd, ["node", "-e", text]);
    const { holds, waits, own } = use(fd, pid);
    expect({ holds, waits }).toEqual({ holds: "yes", waits: "no" });
    expect(own).toEqual([{ kind: "tcp", address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), pid }]);
    const words = socketUseInWords({ holds, waits, own }, ["tcp://127.0.0.1:80"]);
    expect(words).toBe(
      `it listens on ${own[0]!.address} instead of using the socket it was given (tcp://127.0.0.1:80)`,
    );
  });

  test.each<[string, string, object]>([
    [
      "every address",
      's = socket.create_server(("", 0))',
      { kind: "tcp", address: expect.stringMatching(/^0\.0\.0\.0:/) },
    ],
    [
      "IPv6",
      's = socket.create_server(("::1", 0), family=socket.AF_INET6)',
      { kind: "tcp", address: expect.stringMatching(/^\[::1\]:/) },
    ],
    [
      "a datagram socket",
      's = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0))',
      { kind: "udp", address: expect.stringMatching(/^127\.0\.0\.1:/) },
    ],
    [
      "a unix socket",
      `s = socket.socket(socket.AF_UNIX); s.bind("\\0holdfast-own-${process.pid}"); s.listen()`,
      { kind: "unix", address: `@holdfast-own-${process.pid}` },
    ],
    [
      "a unix datagram socket",
      `s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("\\0holdfast-own-${process.pid}")`,
      { kind: "unix-dgram", address: `@holdfast-own-${process.pid}` },
    ],
  ])("and binds %s, is told of", async (_what, text, wanted) => {
    const fd = scene.listener(loopback);
    const pid = await program(fd, text);
    expect(use(fd, pid).own).toEqual([{ ...wanted, pid }]);
  });

  test.each([
    ["asks a name server", 's = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", PORT))'],
    ["has connected datagrams", 's = socket.socket(type=socket.SOCK_DGRAM); s.connect(("127.0.0.1", PORT))'],
    ["is a client", 's = socket.create_connection(("127.0.0.1", PORT))'],
    ["has a pair", "s = socket.socketpair()"],
    [
      "has a unix socket with a name that the kernel chose",
      's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("")',
    ],
  ])("and %s, serves nothing of its own", async (_what, text) => {
    const fd = scene.listener(loopback);
    const pid = await program(fd, text.replace("PORT", String(freePort())));
    expect(use(fd, pid).own).toEqual([]);
  });

  test("and closes it, is told of", async () => {
    const fd = scene.listener(loopback);
    const pid = await program(fd, "os.close(3)");
    expect(use(fd, pid)).toEqual({ holds: "no", waits: "no", own: [] });
  });

  test("and leaves it to a child, uses it", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd, { env: { IN_CHILD: "1" } });
    const [child] = childrenOf(pid);
    await expect.poll(() => use(fd, pid, child!), soon).toEqual({ holds: "yes", waits: "yes", own: [] });
  });

  test("and binds a port in a child, is told of with the child", async () => {
    const fd = scene.listener(loopback);
    const pid = await program(fd, 's = socket.create_server(("127.0.0.1", 0)) if os.fork() == 0 else os.wait()');
    const [child] = childrenOf(pid);
    expect(use(fd, pid, child!).own).toEqual([{ kind: "tcp", address: expect.any(String), pid: child }]);
  });

  test.skipIf(!isRoot)("and is another user's, tells nothing", async () => {
    const fd = scene.listener(loopback);
    const pid = await program(fd, 's = socket.create_server(("127.0.0.1", 0))');
    process.seteuid!(65534);
    const seen = use(fd, pid);
    process.seteuid!(0);
    expect(seen).toEqual({ holds: "not-permitted", waits: "not-permitted", own: [] });
    expect(socketUseInWords(seen, ["tcp://127.0.0.1:80"])).toBeUndefined();
  });
});

describe("the words for how a worker uses its sockets", () => {
  const tcp = (address: string) => ({ kind: "tcp", address, pid: 1 }) as const;
  const odd = { holds: "yes", waits: "no" } as const;
  const [one, two] = [["tcp://127.0.0.1:80"], ["tcp://127.0.0.1:80", "unix:///run/a"]];

  test.each<[SocketUse, readonly string[], string]>([
    [
      { ...odd, own: [tcp("[::1]:3000")] },
      one,
      "it listens on [::1]:3000 instead of using the socket it was given (tcp://127.0.0.1:80)",
    ],
    [
      { ...odd, own: [tcp("a:1"), { kind: "udp", address: "b:2", pid: 1 }] },
      two,
      "it listens on a:1 and udp://b:2 instead of using the sockets it was given (tcp://127.0.0.1:80, unix:///run/a)",
    ],
    [
      { ...odd, own: [1, 2, 3, 4, 5].map((port) => tcp(`a:${port}`)) },
      one,
      "it listens on a:1, a:2, a:3 and 2 more instead of using the socket it was given (tcp://127.0.0.1:80)",
    ],
    [{ ...odd, own: [] }, one, "it does not wait for connections on the socket it was given (tcp://127.0.0.1:80)"],
    [{ ...odd, holds: "no", own: [] }, one, "it has closed the socket it was given (tcp://127.0.0.1:80)"],
  ])("%j, %j", (use, given, words) => {
    expect(socketUseInWords(use, given)).toBe(words);
  });

  test("are none where it waits for one of them, whatever else it serves", () => {
    expect(socketUseInWords({ holds: "yes", waits: "yes", own: [tcp("a:9229")] }, one)).toBeUndefined();
  });
});
