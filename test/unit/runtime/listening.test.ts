import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { bind, listen, type OwnedFd, socket } from "../../../src/ancillary/index.js";
import { type Inode, waitsForSocket } from "../../../src/daemon/runtime/listening.js";
import { python } from "../../fixtures/python.js";

let child: ChildProcess | undefined;
let held: OwnedFd | undefined;

afterEach(async () => {
  if (child !== undefined && child.exitCode === null) {
    const closed = once(child, "close"); // Once nobody has its output open any more.
    process.kill(-child.pid!, "SIGKILL");
    await closed;
  }
  held?.close();
  child = undefined;
  held = undefined;
});

function tcp(): OwnedFd {
  const fd = socket("tcp", "ipv4");
  bind(fd, { kind: "ipv4", host: "127.0.0.1", port: 0 });
  listen(fd, 16);
  return fd;
}

function udp(): OwnedFd {
  const fd = socket("udp", "ipv4");
  bind(fd, { kind: "ipv4", host: "127.0.0.1", port: 0 });
  return fd;
}

/** Starts a program with the socket as descriptor 3; it says `x` when it is about to wait. */
async function start(fd: OwnedFd, argv: readonly string[]): Promise<number> {
  held = fd;
  child = spawn(argv[0]!, argv.slice(1), {
    detached: true, // So that its own children end with it.
    stdio: ["ignore", "pipe", "inherit", fd.borrow().number],
  });
  await once(child.stdout!, "data");
  return child.pid!;
}

function waiting(fd: OwnedFd, text: string): Promise<number> {
  return start(fd, [
    ...python,
    "-uc",
    `import socket, select, os, time\ns = socket.socket(fileno=3)\nprint("x")\n${text}`,
  ]);
}

const node = (text: string): string[] => ["node", "-e", text];

/** Looks until it is seen: between the word and the system call is a moment. */
async function seen(pid: number, sockets: readonly Inode[]): Promise<unknown> {
  await expect.poll(() => waitsForSocket(pid, sockets), { timeout: 5_000, interval: 5 }).toBe("yes");
  return waitsForSocket(pid, sockets);
}

const reads = "while True:\n  ";

describe("a process that waits for its socket", () => {
  test.each([
    ["in epoll", tcp, `p = select.epoll(); p.register(3)\n${reads}p.poll(10)`],
    ["in poll", tcp, `p = select.poll(); p.register(3)\n${reads}p.poll(10000)`],
    ["in select", tcp, `${reads}select.select([3], [], [], 10)`],
    ["in accept", tcp, `${reads}s.accept()`],
    ["in recvfrom, with UDP", udp, `${reads}s.recvfrom(10)`],
    ["in a child of it", tcp, `if os.fork() == 0:\n  s.accept()\n${reads}time.sleep(10)`],
    ["in another thread", tcp, `import threading\nthreading.Thread(target=s.accept).start()\n${reads}time.sleep(10)`],
    ["at another number", tcp, `t = socket.socket(fileno=os.dup(3)); s.close()\n${reads}t.accept()`],
  ])("is seen %s", async (_how, make, text) => {
    const fd = make();
    const pid = await waiting(fd, text);
    await seen(pid, [fd.identity()]);
  });

  test("is seen in Node", async () => {
    const fd = tcp();
    const pid = await start(fd, node('require("http").createServer().listen({ fd: 3 }, () => console.log("x"))'));
    await seen(pid, [fd.identity()]);
  });
});

describe("a process that has its socket and does not wait for it", () => {
  test("is not seen while it sleeps", async () => {
    const fd = tcp();
    const pid = await waiting(fd, "time.sleep(1000)");
    expect(waitsForSocket(pid, [fd.identity()])).toBe("no");
  });

  test("is not seen when it waits for another one", async () => {
    const fd = tcp();
    const pid = await waiting(fd, "o = socket.socket(); o.bind(('127.0.0.1', 0)); o.listen(); o.accept()");
    using other = tcp();
    expect(waitsForSocket(pid, [other.identity(), fd.identity()])).toBe("no");
  });

  test("is not seen once it has ended", async () => {
    const fd = tcp();
    const pid = await waiting(fd, "");
    await once(child!, "exit");
    expect(waitsForSocket(pid, [fd.identity()])).toBe("no");
  });
});

describe("a process of another user", () => {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) console.warn("SKIPPED: looking at another user's process needs root to set it up");

  test.skipIf(!isRoot)("may not be looked at without privilege", async () => {
    const fd = tcp();
    const pid = await waiting(fd, "s.accept()");
    await seen(pid, [fd.identity()]);
    process.seteuid!(65534);
    try {
      expect(waitsForSocket(pid, [fd.identity()])).toBe("not-permitted");
    } finally {
      process.seteuid!(0);
    }
  });
});
