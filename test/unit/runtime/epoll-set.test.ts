import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { bind, listen, makeFifo, type OwnedFd, openFifo, socket } from "../../../src/ancillary/index.js";
import { entriesOf, watchedIn } from "../../../src/daemon/runtime/epoll-set.js";
import { python } from "../../fixtures/python.js";

let child: ChildProcess;
let folder: string | undefined;
const held: OwnedFd[] = [];

afterEach(async () => {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  for (const fd of held.splice(0)) fd.close();
  if (folder !== undefined) rmSync(folder, { recursive: true });
  folder = undefined;
});

function tcp(): OwnedFd {
  const fd = socket("tcp", "ipv4");
  held.push(fd);
  bind(fd, { kind: "ipv4", host: "127.0.0.1", port: 0 });
  listen(fd, 16);
  return fd;
}

/** Its inode is one of a real file system, and not of the kernel's own for sockets. */
function fifo(): OwnedFd {
  folder = mkdtempSync(join(tmpdir(), "holdfast-epoll-set-"));
  const path = join(folder, "fifo");
  makeFifo(path, 0o600);
  const fd = openFifo(path);
  held.push(fd);
  return fd;
}

/** Starts a program with these as descriptors 3, 4, …; it says the number of its epoll set once it has one. */
async function program(fds: readonly OwnedFd[], text: string): Promise<{ pid: number; set: number }> {
  const script = `import select, time\ne = select.epoll()\n${text}\nprint(e.fileno())\ntime.sleep(1000)`;
  child = spawn(python[0], [...python.slice(1), "-uc", script], {
    stdio: ["ignore", "pipe", "inherit", ...fds.map((fd) => fd.borrow().number)],
  });
  const [set] = await once(child.stdout!, "data");
  return { pid: child.pid!, set: Number(set) };
}

describe("the epoll sets of a process", () => {
  test("show what they watch, and how", async () => {
    const fds = [tcp(), fifo(), tcp()];
    const { pid, set } = await program(
      fds,
      "e.register(3, select.EPOLLIN | select.EPOLLET)\ne.register(4, select.EPOLLIN)",
    );
    const watched = watchedIn(
      pid,
      fds.map((fd) => fd.identity()),
    ).sort((a, b) => a.fd - b.fd);
    expect(watched).toMatchObject([
      { epollFd: set, fd: 3, events: 0x80000019, of: 0 },
      { epollFd: set, fd: 4, events: 0x19, of: 1 },
    ]);
    for (const { fd, data } of watched) expect(Number(BigInt.asUintN(32, data))).toBe(fd);
  });

  test("show nothing of a file that only has the same number in another file system", async () => {
    const fd = tcp();
    const { pid } = await program([fd], "e.register(3, select.EPOLLIN)");
    const { dev, ino } = fd.identity();
    expect(watchedIn(pid, [{ dev, ino }])).toHaveLength(1);
    expect(watchedIn(pid, [{ dev: dev + 1n, ino }])).toEqual([]);
  });

  test("show a file under the number that it was registered with, after that was closed", async () => {
    const fd = tcp();
    const { pid } = await program([fd], "import os\ne.register(3, select.EPOLLIN)\nos.dup2(3, 9)\nos.close(3)");
    expect(watchedIn(pid, [fd.identity()])).toMatchObject([{ fd: 3 }]);
  });

  test("are none where another file stands, or nothing", async () => {
    const { pid, set } = await program([tcp()], "e.register(3, select.EPOLLIN)");
    expect(entriesOf(pid, set)).toHaveLength(1);
    expect(entriesOf(pid, 3)).toEqual([]);
    expect(entriesOf(pid, 99)).toEqual([]);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(entriesOf(pid, set)).toEqual([]);
    expect(watchedIn(pid, [])).toEqual([]);
  });
});
