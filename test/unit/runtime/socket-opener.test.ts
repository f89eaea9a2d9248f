import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bind, connect, getSocketOption, type OwnedFd, pollReadable, socket } from "../../../src/ancillary/index.js";
import type { Address, SocketConfig } from "../../../src/daemon/config/config.js";
import { findOwner, ownerInWords } from "../../../src/daemon/runtime/port-owner.js";
import { openSocket, removeSocketPath, type SocketOpenError } from "../../../src/daemon/runtime/socket-opener.js";
import { queueLooks } from "../../../src/daemon/runtime/socket-queue.js";
import { python } from "../../fixtures/python.js";
import { asUser, descriptorCensus, isRoot, OTHER_USER } from "./fixtures/census.js";

let folder: string;
let noDescriptorIsLeft: () => void;
let opened: OwnedFd[];
let children: ChildProcess[];

beforeEach(() => {
  noDescriptorIsLeft = descriptorCensus();
  folder = mkdtempSync(join(tmpdir(), "holdfast-sock-"));
  opened = [];
  children = [];
});

afterEach(async () => {
  for (const fd of opened) fd.close();
  for (const child of children) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(folder, { recursive: true });
  noDescriptorIsLeft();
});

function config(address: Address, text: string, more: Partial<SocketConfig> = {}): SocketConfig {
  return {
    name: "web",
    listen: [address],
    listenText: [text],
    backlog: 128,
    distribution: "shared",
    mode: 0o660,
    symlinks: [],
    removeOnStop: true,
    options: {},
    ...more,
  };
}

function tcp(
  port = 0,
  host = "127.0.0.1",
  more: Partial<SocketConfig> = {},
  kind: "tcp" | "udp" = "tcp",
): SocketConfig {
  const family = host.includes(":") ? "ipv6" : "ipv4";
  return config({ kind, host, port, family }, `${kind}://${family === "ipv6" ? `[${host}]` : host}:${port}`, more);
}

function unix(
  path: string,
  more: Partial<SocketConfig> = {},
  kind: "unix" | "unix-dgram" | "unix-seqpacket" = "unix",
): SocketConfig {
  return config({ kind, path }, `${kind}://${path}`, more);
}

function open(wanted: SocketConfig, identity = {}, options = {}): { fd: OwnedFd; address: string } {
  const result = openSocket(wanted, 0, identity, options);
  opened.push(result.fd);
  return result;
}

function failure(wanted: SocketConfig, identity = {}): SocketOpenError {
  try {
    open(wanted, identity);
  } catch (error) {
    return error as SocketOpenError;
  }
  throw new Error("it was opened");
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** The flags of the open file description and of the descriptor, as proc(5) shows them. */
/** How many connections wait. */
function queued(fd: OwnedFd): number | undefined {
  return queueLooks([fd])[0]?.queued;
}

function flags(fd: OwnedFd): { nonblocking: boolean; closeOnExec: boolean } {
  const value = Number.parseInt(
    /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd.borrow().number}`, "utf8"))![1]!,
    8,
  );
  return { nonblocking: (value & 0o4000) !== 0, closeOnExec: (value & 0o2000000) !== 0 };
}

describe("a TCP socket", () => {
  test("listens on the port that it says", async () => {
    const { fd, address } = open(tcp());
    expect(address).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    expect(flags(fd)).toEqual({ nonblocking: false, closeOnExec: true });
    expect(queued(fd)).toBe(0);
    const clients = [1, 2, 3].map(() => createConnection(portOf(address), "127.0.0.1"));
    await Promise.all(clients.map((client) => once(client, "connect")));
    expect(queued(fd)).toBe(3);
    for (const client of clients) client.destroy();
  });

  test("listens on IPv6, on IPv4 as well unless told otherwise", async () => {
    const both = open(tcp(0, "::"));
    const client = createConnection(portOf(both.address), "127.0.0.1");
    await once(client, "connect");
    client.destroy();
    expect(queued(both.fd)).toBe(1);
    const six = open(tcp(portOf(open(tcp()).address), "::", { options: { ipv6Only: true } }));
    expect(six.address).toMatch(/^tcp:\/\/\[::\]:\d+$/);
  });

  test("has the options that were asked for", () => {
    const { fd } = open(
      tcp(0, "127.0.0.1", {
        options: {
          keepalive: true,
          noDelay: true,
          deferAcceptSeconds: 3,
          receiveBuffer: 8192,
          priority: 3,
          tos: 16,
          ttl: 9,
          fastOpen: 5,
          reusePort: true,
          freeBind: true,
        },
      }),
    );
    const get = (name: Parameters<typeof getSocketOption>[1]) => getSocketOption(fd, name);
    expect([
      get("SO_KEEPALIVE"),
      get("TCP_NODELAY"),
      get("SO_PRIORITY"),
      get("IP_TOS"),
      get("IP_TTL"),
      get("SO_REUSEPORT"),
      get("IP_FREEBIND"),
    ]).toEqual([1, 1, 3, 16, 9, 1, 1]);
    expect(get("SO_RCVBUF")).toBe(16384); // The kernel doubles it, socket(7).
    expect(get("TCP_DEFER_ACCEPT")).toBeGreaterThanOrEqual(3);
    expect(get("TCP_FASTOPEN")).toBe(5);
  });

  test("that is in use names who holds it", async () => {
    const script =
      "import os,socket,signal; s=socket.socket(); s.bind(('127.0.0.1',0)); s.listen(); os.write(1, b'%d' % s.getsockname()[1]); signal.pause()";
    const holder = spawn(python[0], [...python.slice(1), "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(holder);
    const [line] = (await once(holder.stdout!, "data")) as [Buffer];
    const port = Number(String(line));
    holder.stdout!.destroy();
    const error = failure(tcp(port));
    const owner = findOwner(tcp(port).listen[0]!)!;
    expect(readFileSync(`/proc/${owner.pid}/comm`, "utf8").trim()).toMatch(/^python/);
    expect(error.code).toBe("address-in-use");
    expect(error.owner).toEqual(owner);
    expect(error.message).toBe(
      `cannot open tcp://127.0.0.1:${port}: the address is in use by "${owner.command}" (pid ${owner.pid}, user root); stop that process or choose another address`,
    );
    expect((error.cause as NodeJS.ErrnoException).code).toBe("EADDRINUSE");
    // Wildcards collide with it.
    expect(findOwner({ kind: "tcp", host: "0.0.0.0", port, family: "ipv4" })?.pid).toBe(owner.pid);
    expect(findOwner({ kind: "tcp", host: "::", port, family: "ipv6" })?.pid).toBe(owner.pid);
    expect(findOwner({ kind: "tcp", host: "127.0.0.2", port, family: "ipv4" })).toBeUndefined();
    expect(findOwner({ kind: "udp", host: "127.0.0.1", port, family: "ipv4" })).toBeUndefined();
  });

  test("finds the owner of IPv6 addresses", () => {
    const port = portOf(open(tcp(0, "::1")).address);
    const find = (host: string) => findOwner({ kind: "tcp", host, port, family: "ipv6" })?.pid;
    expect([find("::1"), find("0:0:0:0:0:0:0:1"), find("::"), find("fe80::1")]).toEqual([
      process.pid,
      process.pid,
      process.pid,
      undefined,
    ]);
  });

  test("on an address that no interface has is refused with words", () => {
    const error = failure(tcp(0, "203.0.113.1"));
    expect(error.code).toBe("address-not-available");
    expect(error.message).toContain("free_bind = true");
    expect(open(tcp(0, "203.0.113.1", { options: { freeBind: true } })).address).toMatch(/203\.0\.113\.1/);
  });

  test("with an option that the kernel refuses says so", () => {
    expect(failure(tcp(0, "127.0.0.1", { options: { bindToDevice: "no-such-device" } })).code).toBe("option-refused");
  });
});

describe.runIf(isRoot)("a supervisor without privilege", () => {
  const lowest = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));

  test.skipIf(lowest <= 79)("is told what a low port needs", () => {
    const error = asUser(OTHER_USER, () => failure(tcp(79)));
    expect(error.code).toBe("permission-denied");
    expect(error.message).toContain("CAP_NET_BIND_SERVICE");
  });

  test("is told the user of a process that it may not look into", () => {
    const port = portOf(open(tcp()).address);
    const owner = asUser(OTHER_USER, () => findOwner({ kind: "tcp", host: "127.0.0.1", port, family: "ipv4" }));
    expect(ownerInWords(owner === undefined || owner.pid !== process.pid ? owner : { user: owner.user })).toBe(
      "a process of user root",
    );
  });

  test("is told that a folder does not let it in", () => {
    const error = asUser(OTHER_USER, () => failure(unix(join(folder, "a/web.sock"))));
    expect(error.code).toBe("permission-denied");
  });
});

describe("a UDP socket", () => {
  test("is bound, and shares its port with nobody", () => {
    const { address } = open(tcp(0, "127.0.0.1", {}, "udp"));
    const again = failure(tcp(portOf(address), "127.0.0.1", {}, "udp"));
    expect(again.code).toBe("address-in-use");
    expect(again.owner?.pid).toBe(process.pid);
  });
});

describe("a unix socket", () => {
  test.each(["unix", "unix-dgram", "unix-seqpacket"] as const)("of kind %s takes connections at its path", (kind) => {
    const path = join(folder, "new/folder/web.sock");
    const { fd, address } = open(unix(path, { mode: 0o640 }, kind));
    expect(address).toBe(`${kind}://${path}`);
    expect(flags(fd)).toEqual({ nonblocking: false, closeOnExec: true });
    expect(lstatSync(path).isSocket()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(join(folder, "new/folder"))).toEqual(["web.sock"]);
    using client = socket(kind, "unix");
    connect(client, { kind: "unix", path });
    expect(pollReadable(fd)).toBe(kind !== "unix-dgram");
  });

  test.runIf(isRoot)("belongs to the user that was asked for, and lets nobody in before", () => {
    const path = join(folder, "web.sock");
    open(unix(path, { mode: 0o600 }), { uid: OTHER_USER });
    expect(statSync(path)).toMatchObject({ uid: OTHER_USER, gid: 0 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    open(unix(join(folder, "group.sock")), { gid: OTHER_USER });
    expect(statSync(join(folder, "group.sock"))).toMatchObject({ uid: 0, gid: OTHER_USER });
  });

  test("with an abstract name has no file", () => {
    const name = `@holdfast-test-${process.pid}`;
    const { address } = open(unix(name));
    expect(address).toBe(`unix://${name}`);
    const error = failure(unix(name));
    expect(error.code).toBe("address-in-use");
    expect(error.owner?.pid).toBe(process.pid);
    removeSocketPath(unix(name), 0);
  });

  test("takes the place of a socket that nobody listens on", () => {
    const path = join(folder, "web.sock");
    open(unix(path)).fd.close();
    open(unix(path));
    using client = socket("unix", "unix");
    connect(client, { kind: "unix", path });
  });

  test.each(["unix", "unix-dgram", "unix-seqpacket"] as const)(
    "does not take the place of a %s socket that somebody listens on",
    (kind) => {
      const path = join(folder, "web.sock");
      const { fd } = open(unix(path, {}, kind));
      const inode = statSync(path).ino;
      const error = failure(unix(path));
      expect(error.code).toBe("address-in-use");
      expect(error.owner?.pid).toBe(process.pid);
      expect(statSync(path).ino).toBe(inode);
      expect(fd.closed).toBe(false);
    },
  );

  test("does not take the place of a socket whose queue is full", () => {
    const path = join(folder, "web.sock");
    open(unix(path, { backlog: 0 }));
    using client = socket("unix", "unix");
    connect(client, { kind: "unix", path });
    expect(failure(unix(path)).code).toBe("address-in-use");
  });

  test("takes the place of our own one without a gap if told so", async () => {
    const path = join(folder, "web.sock");
    const first = open(unix(path));
    const second = open(unix(path), {}, { replace: true });
    expect(readdirSync(folder)).toEqual(["web.sock"]);
    using client = socket("unix", "unix");
    connect(client, { kind: "unix", path });
    expect([pollReadable(first.fd), pollReadable(second.fd)]).toEqual([false, true]);
  });

  test.each([
    ["a file", (path: string) => writeFileSync(path, "precious")],
    ["a folder", (path: string) => mkdirSync(path)],
    ["a symbolic link", (path: string) => symlinkSync("/nowhere", path)],
  ])("does not take the place of %s", (what, make) => {
    const path = join(folder, "web.sock");
    make(path);
    const error = failure(unix(path));
    expect(error.code).toBe("path-occupied");
    expect(error.message).toContain(`${path} is ${what}`);
    expect(lstatSync(path)).toBeDefined();
  });

  test("with a path that is too long is refused with words", () => {
    expect(failure(unix(join(folder, "x".repeat(120)))).code).toBe("path-unusable");
  });

  test("below a file is refused with words", () => {
    writeFileSync(join(folder, "file"), "");
    expect(failure(unix(join(folder, "file/web.sock"))).code).toBe("path-unusable");
  });

  test("has its symbolic links, which replace links alone", () => {
    const path = join(folder, "web.sock");
    const links = [join(folder, "one"), join(folder, "sub/two")];
    symlinkSync("/nowhere", links[0]!);
    const wanted = unix(path, { symlinks: links });
    open(wanted);
    expect(links.map((link) => readlinkSync(link))).toEqual([path, path]);
    removeSocketPath(wanted, 0);
    expect([path, ...links].map((name) => existsSync(name))).toEqual([false, false, false]);
    writeFileSync(links[0]!, "precious");
    expect(failure(wanted).code).toBe("path-occupied");
    expect(readFileSync(links[0]!, "utf8")).toBe("precious");
  });

  test("is not removed when it became somebody else's", () => {
    const path = join(folder, "web.sock");
    const wanted = unix(path);
    const ours = open(wanted).fd;
    rmSync(path);
    open(wanted);
    removeSocketPath(wanted, 0, ours);
    expect(existsSync(path)).toBe(true);
    rmSync(path);
    writeFileSync(path, "precious");
    removeSocketPath(wanted, 0);
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  test("that was bound and not listened on counts as left behind", () => {
    const path = join(folder, "web.sock");
    using bound = socket("unix", "unix");
    bind(bound, { kind: "unix", path });
    open(unix(path));
  });
});

describe("a fifo", () => {
  const fifo = (path: string): SocketConfig => config({ kind: "fifo", path }, `fifo://${path}`, { mode: 0o620 });

  test("is made, is read from, never ends, and is used again", () => {
    const path = join(folder, "a/b/fifo");
    const { fd, address } = open(fifo(path));
    expect(address).toBe(`fifo://${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o620);
    expect(flags(fd)).toEqual({ nonblocking: false, closeOnExec: true });
    expect(pollReadable(fd)).toBe(false);
    writeSync(fd.borrow().number, "x");
    const again = open(fifo(path));
    expect(pollReadable(again.fd)).toBe(true);
    removeSocketPath(fifo(path), 0);
    expect(existsSync(path)).toBe(false);
  });

  test("does not take the place of a file", () => {
    const path = join(folder, "fifo");
    writeFileSync(path, "precious");
    expect(failure(fifo(path)).code).toBe("path-occupied");
  });
});

describe("an address of a server that is not ours", () => {
  let server: Server;
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  test("is free again when it has gone", async () => {
    server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    expect(failure(tcp(port)).owner?.pid).toBe(process.pid);
    await new Promise((resolve) => server.close(resolve));
    expect(portOf(open(tcp(port)).address)).toBe(port);
  });
});
