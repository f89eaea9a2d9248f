import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  bind,
  listen,
  localAddress,
  type OwnedFd,
  openPidfd,
  pipe,
  read,
  type SocketAddress,
  socket,
} from "../../../../src/ancillary/index.js";
import type { Address, SocketConfig } from "../../../../src/daemon/config/config.js";
import { regainNotify, regainPipe, regainSockets } from "../../../../src/daemon/runtime/left-overs/regain.js";
import type { TreeMember } from "../../../../src/daemon/runtime/process-tree.js";
import { descriptorCensus } from "../fixtures/census.js";

let noDescriptorIsLeft: () => void;
let own: OwnedFd[];
let children: ChildProcess[];

beforeEach(() => {
  noDescriptorIsLeft = descriptorCensus();
  own = [];
  children = [];
});

afterEach(async () => {
  for (const fd of own) fd.close();
  for (const child of children) {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
  noDescriptorIsLeft();
});

/** A process that has these from 1 on. */
async function holder(...fds: OwnedFd[]): Promise<TreeMember> {
  const child = spawn("sleep", ["1000"], { stdio: ["ignore", ...fds.map((fd) => fd.borrow().number)] });
  children.push(child);
  await once(child, "spawn");
  const pidfd = openPidfd(child.pid!);
  own.push(pidfd);
  return { pid: child.pid!, pidfd, startTicks: 0n };
}

function self(): TreeMember {
  const pidfd = openPidfd(process.pid);
  own.push(pidfd);
  return { pid: process.pid, pidfd, startTicks: 0n };
}

function listener(address: SocketAddress): OwnedFd {
  const fd = socket(address.kind === "unix" ? "unix" : "tcp", address.kind);
  bind(fd, address);
  listen(fd, 5);
  return fd;
}

function configured(...listens: Address[]): SocketConfig {
  return { name: "s", listen: listens, distribution: "shared" } as unknown as SocketConfig;
}

describe("a pipe that a worker writes to", () => {
  test("is had back with what waits in it", async () => {
    const [reading, writing] = pipe();
    const member = await holder(writing);
    writeSync(writing.borrow().number, "before");
    writing.close();
    reading.close(); // Now nobody reads.
    const regained = regainPipe(member, 1, [member])!;
    const bytes = Buffer.alloc(10);
    expect(read(regained, bytes)).toBe(6);
    expect(bytes.toString("utf8", 0, 6)).toBe("before");
    expect(read(regained, bytes)).toBe("would-block");
    regained.close();
  });

  test("is left to whoever reads it already", async () => {
    const [reading, writing] = pipe();
    const member = await holder(writing);
    writing.close();
    expect(regainPipe(member, 1, [member, self()])).toBeUndefined();
    reading.close();
  });

  test("may be none", async () => {
    const fd = listener({ kind: "unix", path: "" });
    const member = await holder(fd);
    fd.close();
    expect(regainPipe(member, 1, [member])).toBeUndefined();
  });
});

describe("sockets of the configuration", () => {
  test("are known by their addresses, whatever their numbers are", async () => {
    const tcp = listener({ kind: "ipv6", host: "::1", port: 0 });
    const unix = listener({ kind: "unix", path: `@holdfast-left-${process.pid}` });
    const { port } = localAddress(tcp) as { port: number };
    const member = await holder(unix, tcp);
    const inodes = [tcp, unix].map((fd) => fd.identity().ino);
    tcp.close();
    unix.close();
    const found = regainSockets(
      [member],
      [
        configured(
          { kind: "tcp", family: "ipv6", host: "::1", port },
          { kind: "unix", path: `@holdfast-left-${process.pid}` },
          { kind: "tcp", family: "ipv4", host: "127.0.0.1", port },
        ),
      ],
    );
    expect([...found.keys()].sort()).toEqual([
      `socket/s/tcp://[::1]:${port}`,
      `socket/s/unix://@holdfast-left-${process.pid}`,
    ]);
    expect([...found.values()].map(({ fd }) => fd.identity().ino).sort()).toEqual(inodes.sort());
    for (const { fd } of found.values()) fd.close();
  });
});

test("a notify socket is had back under its name, unless somebody has taken that", () => {
  const name = `@holdfast-notify-${process.pid}`;
  const first = regainNotify(name)!;
  expect(first.address).toBe(name);
  expect(regainNotify(name)).toBeUndefined();
  first.close();
});
