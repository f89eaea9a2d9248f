import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  accept,
  bind,
  connect,
  getSocketOption,
  listen,
  localAddress,
  makeFifo,
  memfd,
  type OwnedFd,
  openFifo,
  pipe,
  pollReadable,
  read,
  readAll,
  receive,
  remoteAddress,
  type SocketAddress,
  type SocketOptionName,
  send,
  setNonblocking,
  setSocketOption,
  shutdown,
  socket,
} from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";

let before: Map<number, string>;
let folder: string;
let opened: OwnedFd[];
beforeEach(() => {
  before = openDescriptors();
  opened = [];
  folder = mkdtempSync(join(tmpdir(), "hf-"));
});
afterEach(() => {
  for (const fd of opened) fd.close();
  rmSync(folder, { recursive: true });
  expect(newDescriptors(before)).toEqual([]);
});

/** Closed at the end of the test. */
function keep<T extends OwnedFd | "would-block">(fd: T): Exclude<T, string> {
  if (typeof fd === "string") throw new Error(fd);
  opened.push(fd);
  return fd as Exclude<T, string>;
}

const loopback4: SocketAddress = { kind: "ipv4", host: "127.0.0.1", port: 0 };
const loopback6: SocketAddress = { kind: "ipv6", host: "::1", port: 0 };

describe.each([
  ["tcp", "ipv4", () => loopback4],
  ["tcp", "ipv6", () => loopback6],
  ["unix", "unix", () => ({ kind: "unix", path: join(folder, "stream") })],
  ["unix-seqpacket", "unix", () => ({ kind: "unix", path: "" })],
] as const)("a %s listener of family %s", (kind, family, address) => {
  test("accepts connections, which know both addresses", () => {
    const listener = keep(socket(kind, family));
    bind(listener, address() as SocketAddress);
    listen(listener, 8);
    expect(getSocketOption(listener, "SO_ACCEPTCONN")).toBe(1);
    expect(accept(listener)).toBe("would-block");
    const client = keep(socket(kind, family));
    expect(connect(client, localAddress(listener))).toBeUndefined();
    expect(pollReadable(listener)).toBe(true);
    const connection = keep(accept(listener));
    expect(remoteAddress(client)).toEqual(localAddress(listener));
    expect(remoteAddress(connection)).toEqual(localAddress(client));
    expect(send(client, { data: Buffer.from("hello") })).toBe(5);
    expect(receive(connection)).toMatchObject({ data: Buffer.from("hello") });
    shutdown(client, "write");
    expect(receive(connection)).toBe("end");
  });

  test("refuses an address that is taken", () => {
    const first = keep(socket(kind, family));
    bind(first, address() as SocketAddress);
    listen(first, 1);
    const second = keep(socket(kind, family));
    expect(() => bind(second, localAddress(first))).toThrow(
      expect.objectContaining({ code: "EADDRINUSE", errno: -98, syscall: "bind" }),
    );
  });
});

describe("a udp socket", () => {
  test("tells who sent what, also when it is empty", () => {
    const server = keep(socket("udp", "ipv4"));
    bind(server, loopback4);
    const client = keep(socket("udp", "ipv4"));
    bind(client, loopback4);
    send(client, { data: Buffer.from("x"), to: localAddress(server) });
    send(client, { data: Buffer.alloc(0), to: localAddress(server) });
    expect(receive(server)).toMatchObject({ data: Buffer.from("x"), from: localAddress(client) });
    expect(receive(server)).toMatchObject({ data: Buffer.alloc(0), from: localAddress(client) });
    expect(receive(server)).toBe("would-block");
  });
});

describe("an address", () => {
  test("is refused before the call if it is none", () => {
    const fd = keep(socket("tcp", "ipv4"));
    const wrong = (address: unknown) => () => bind(fd, address as SocketAddress);
    expect(wrong({ kind: "ipv4", host: "localhost", port: 1 })).toThrow(RangeError);
    expect(wrong({ kind: "ipv4", host: "::1", port: 1 })).toThrow(RangeError);
    expect(wrong({ kind: "ipv4", host: "127.0.0.1", port: 65536 })).toThrow(RangeError);
    expect(wrong({ kind: "unix", path: `/${"x".repeat(107)}` })).toThrow(RangeError);
    expect(wrong({ kind: "unix", path: "a\0b" })).toThrow(RangeError);
    expect(wrong({ kind: "vsock" })).toThrow(TypeError);
    expect(() => socket("tcp", "unix")).toThrow(TypeError);
    expect(() => socket("constructor" as "tcp", "ipv4")).toThrow(TypeError);
  });

  test("may be as long as the kernel allows", () => {
    const fd = keep(socket("unix", "unix"));
    const path = `@${"x".repeat(107)}`;
    bind(fd, { kind: "unix", path });
    expect(localAddress(fd)).toEqual({ kind: "unix", path });
  });

  test("with a scope names its interface", () => {
    const fd = keep(socket("udp", "ipv6"));
    expect(() => bind(fd, { kind: "ipv6", host: "fe80::1%nosuchinterface", port: 0 })).toThrow(
      expect.objectContaining({ code: "ENODEV" }),
    );
  });
});

describe("a socket option", () => {
  test.each<[SocketOptionName, "tcp" | "udp", "ipv4" | "ipv6", number | boolean, number]>([
    ["SO_REUSEADDR", "tcp", "ipv4", true, 1],
    ["SO_REUSEPORT", "tcp", "ipv4", true, 1],
    ["SO_KEEPALIVE", "tcp", "ipv4", true, 1],
    ["SO_RCVBUF", "tcp", "ipv4", 65536, 131072],
    ["SO_SNDBUF", "tcp", "ipv4", 65536, 131072],
    ["SO_PRIORITY", "tcp", "ipv4", 3, 3],
    ["SO_BROADCAST", "udp", "ipv4", true, 1],
    ["IP_TOS", "tcp", "ipv4", 16, 16],
    ["IP_TTL", "tcp", "ipv4", 7, 7],
    ["IP_FREEBIND", "tcp", "ipv4", true, 1],
    ["IPV6_V6ONLY", "tcp", "ipv6", true, 1],
    ["IPV6_TCLASS", "tcp", "ipv6", 16, 16],
    ["IPV6_UNICAST_HOPS", "tcp", "ipv6", 7, 7],
    ["IPV6_FREEBIND", "tcp", "ipv6", true, 1],
    ["TCP_NODELAY", "tcp", "ipv4", true, 1],
    ["TCP_FASTOPEN", "tcp", "ipv4", 5, 5],
  ])("%s is set and read back", (name, kind, family, value, readBack) => {
    const fd = keep(socket(kind, family));
    setSocketOption(fd, name, value);
    expect(getSocketOption(fd, name)).toBe(readBack);
  });

  test("tells what a socket is", () => {
    const fd = keep(socket("udp", "ipv6"));
    const names = ["SO_TYPE", "SO_DOMAIN", "SO_PROTOCOL", "SO_ERROR"] as const;
    expect(names.map((name) => getSocketOption(fd, name))).toEqual([2, 10, 17, 0]);
  });

  test("is refused if there is none of that name or the value does not fit", () => {
    const fd = keep(socket("tcp", "ipv4"));
    expect(() => setSocketOption(fd, "toString" as SocketOptionName, 1)).toThrow(TypeError);
    expect(() => setSocketOption(fd, "SO_RCVBUF", "big")).toThrow(TypeError);
    expect(() => setSocketOption(fd, "SO_RCVBUF", 1.5)).toThrow(RangeError);
    expect(() => setSocketOption(fd, "SO_BINDTODEVICE", 1)).toThrow(TypeError);
    expect(() => setSocketOption(fd, "SO_BINDTODEVICE", "nosuchinterface")).toThrow(
      expect.objectContaining({ syscall: "setsockopt" }),
    );
  });
});

describe("a fifo", () => {
  test("is opened for both sides and never ends", () => {
    const path = join(folder, "fifo");
    makeFifo(path, 0o600);
    expect(() => makeFifo(path, 0o600)).toThrow(expect.objectContaining({ code: "EEXIST", syscall: "mkfifo" }));
    const fifo = keep(openFifo(path));
    expect(read(fifo, Buffer.alloc(8))).toBe("would-block");
    writeSync(fifo.borrow().number, "x");
    expect([pollReadable(fifo), read(fifo, Buffer.alloc(8))]).toEqual([true, 1]);
  });

  test("is not opened if it is something else", () => {
    const path = join(folder, "file");
    writeFileSync(path, "content");
    expect(() => openFifo(path)).toThrow(expect.objectContaining({ code: "ENOTSUP" }));
    symlinkSync(path, join(folder, "link"));
    expect(() => openFifo(join(folder, "link"))).toThrow(expect.objectContaining({ code: "ELOOP" }));
    expect(() => openFifo(join(folder, "none"))).toThrow(expect.objectContaining({ code: "ENOENT", syscall: "open" }));
  });
});

describe("a memfd", () => {
  test("is read as a whole, whatever its offset, and cannot be changed", () => {
    const content = Buffer.from("x".repeat(100_000));
    const fd = keep(memfd("name", content));
    read(fd, Buffer.alloc(10));
    expect(readAll(fd).equals(content)).toBe(true);
    expect(() => writeSync(fd.borrow().number, "y")).toThrow(expect.objectContaining({ code: "EPERM" }));
    expect(readAll(keep(memfd("", Buffer.alloc(0))))).toHaveLength(0);
  });
});

describe("a pipe", () => {
  test("ends when its writer is closed, and is not inherited", async () => {
    const [reader, writer] = pipe().map(keep) as [OwnedFd, OwnedFd];
    writeSync(writer.borrow().number, "ab");
    const into = Buffer.alloc(8);
    expect([read(reader, into), into.toString("latin1", 0, 2)]).toEqual([2, "ab"]);
    setNonblocking(reader, true);
    expect(read(reader, into)).toBe("would-block");
    const path = `/proc/self/fd/${writer.borrow().number}`;
    expect(existsSync(path)).toBe(true);
    const code = await new Promise((resolve) => {
      execFile("test", ["-e", path], (error) => resolve(error?.code));
    });
    expect(code).toBe(1);
    writer.close();
    expect(read(reader, into)).toBe(0);
  });
});
