import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { ask, connect } from "./ask.js";
import { command } from "./fixture.js";
import { type Itself, itself } from "./itself.js";
import { scenes } from "./scene.js";

const { start } = scenes();
const host = "127.0.0.1";
const isRoot = process.getuid?.() === 0;

/** What a worker sees of the sockets of `[socket.s]`. */
async function seen(lines: string): Promise<Itself["sockets"]> {
  const scene = await start({
    config: `
      [socket.s]
      ${lines}
      [service.worker]
      ${command("shows-itself")}
      sockets = ["s"]`,
  });
  return (await itself(scene, "worker")).sockets;
}

describe("a unix socket and a fifo", () => {
  test("have the mode that is configured, whatever the umask is, and the symbolic links", async () => {
    const scene = await start({
      prefix: ["/bin/sh", "-c", 'umask 077; exec "$@"', "sh"],
      config: `
        [socket.web]
        listen = ["unix://run/web.sock"]
        mode = "0666"
        symlinks = ["old.sock", "older.sock"]
        [socket.fifo]
        listen = ["fifo://in.fifo"]
        mode = "0622"
        [service.web]
        ${command("answers-pid")}
        sockets = ["web", "fifo"]
        ready = "notify"`,
    });
    await scene.ready("web");
    const path = join(scene.directory, "run/web.sock");
    expect(lstatSync(path).isSocket()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o666);
    expect(lstatSync(join(scene.directory, "in.fifo")).isFIFO()).toBe(true);
    expect(statSync(join(scene.directory, "in.fifo")).mode & 0o777).toBe(0o622);
    for (const link of ["old.sock", "older.sock"]) {
      expect(readlinkSync(join(scene.directory, link))).toBe(path);
      expect(await ask({ path: join(scene.directory, link) })).toBe(`${await scene.pid("web")}\n`);
    }
  });

  test.runIf(isRoot)("belong to the user and the group that are configured", async () => {
    const scene = await start({
      config: `
        [socket.web]
        listen = ["unix://web.sock", "unix-dgram://web.dgram", "fifo://web.fifo"]
        user = "nobody"
        group = "4242"
        [service.web]
        ${command("answers-pid")}
        sockets = ["web"]`,
    });
    const nobody = Number(execFileSync("id", ["-u", "nobody"]));
    for (const name of ["web.sock", "web.dgram", "web.fifo"]) {
      expect(statSync(join(scene.directory, name))).toMatchObject({ uid: nobody, gid: 4242 });
    }
  });

  test("are removed at the end with their links, or stay, as configured", async () => {
    const scene = await start({
      config: `
        [socket.goes]
        listen = ["unix://goes.sock"]
        symlinks = ["link.sock"]
        [socket.stays]
        listen = ["unix://stays.sock"]
        remove_on_stop = false
        [service.web]
        ${command("answers-pid")}
        sockets = ["goes", "stays"]`,
    });
    await scene.holdfast.stop();
    expect(existsSync(join(scene.directory, "goes.sock"))).toBe(false);
    expect(existsSync(join(scene.directory, "link.sock"))).toBe(false);
    expect(existsSync(join(scene.directory, "stays.sock"))).toBe(true);
  });

  test("take the place of a socket that somebody who is dead has left behind", async () => {
    const scene = await start({
      prepare: (directory) => leaveSocket(join(directory, "web.sock")),
      config: `
        [socket.web]
        listen = ["unix://web.sock"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["web"]
        ready = "notify"`,
    });
    await scene.ready("web");
    expect(await ask({ path: join(scene.directory, "web.sock") })).toBe(`${await scene.pid("web")}\n`);
  });

  test("do not take the place of a file, and are there as soon as it is gone", async () => {
    const scene = await start({
      prepare: (directory) => writeFileSync(join(directory, "web.sock"), "precious"),
      config: `
        [socket.web]
        listen = ["unix://web.sock"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["web"]
        ready = "notify"`,
    });
    expect(await scene.socket("web")).toMatchObject({ bound: false, error: expect.stringContaining("web.sock") });
    execFileSync("rm", [join(scene.directory, "web.sock")]);
    await scene.ready("web");
    expect(lstatSync(join(scene.directory, "web.sock")).isSocket()).toBe(true);
  });
});

describe("the options of a socket", () => {
  test("are seen by the worker: tcp", async () => {
    const sockets = await seen(`
      listen = ["tcp://${host}:${await freePort()}"]
      reuse_port = true
      free_bind = true
      bind_to_device = "lo"
      tos = 16
      ttl = 42
      priority = 5
      keepalive = true
      no_delay = true
      defer_accept = "5s"
      fast_open = 16
      receive_buffer = "64KiB"
      send_buffer = "32KiB"`);
    const { defer_accept, ...options } = sockets[0]!;
    expect(options).toMatchObject({
      reuse_port: 1,
      free_bind: 1,
      bind_to_device: "lo",
      tos: 16,
      ttl: 42,
      priority: 5,
      keepalive: 1,
      no_delay: 1,
      fast_open: 16,
      receive_buffer: 128 * 1024, // The kernel doubles what it is asked for, socket(7).
      send_buffer: 64 * 1024,
    });
    expect(defer_accept).toBeGreaterThanOrEqual(5); // Rounded up to a number of retransmissions, tcp(7).
  });

  test.runIf(isRoot)("that need root are set for root: tcp", async () => {
    const sockets = await seen(`
      listen = ["tcp://${host}:${await freePort()}"]
      mark = 42
      transparent = true`);
    expect(sockets).toMatchObject([{ mark: 42, transparent: 1 }]);
  });

  test("are seen by the worker: udp over both families, unix", async () => {
    const port = await freePort();
    const udp = await seen(`
      listen = ["udp://${host}:${port}", "udp://[::1]:${port}"]
      receive_buffer = "64KiB"`);
    expect(udp).toMatchObject([{ receive_buffer: 128 * 1024 }, { receive_buffer: 128 * 1024 }]);
    const unix = await seen(`
      listen = ["unix://s.sock", "unix-dgram://d.sock"]
      pass_credentials = true`);
    expect(unix).toMatchObject([{ pass_credentials: 1 }, { pass_credentials: 1 }]);
  });

  test("keep an IPv6 wildcard to itself, so that IPv4 has the same port", async () => {
    const port = await freePort();
    const sockets = await seen(`
      listen = ["tcp://[::]:${port}"]
      ipv6_only = true
      [socket.v4]
      listen = ["tcp://0.0.0.0:${port}"]`);
    expect(sockets).toMatchObject([{ ipv6_only: 1, name: ["::", port, 0, 0] }]);
  });

  test("are left to the kernel when they are not configured", async () => {
    const sockets = await seen(`listen = ["tcp://${host}:${await freePort()}"]`);
    expect(sockets).toMatchObject([{ reuse_port: 0, keepalive: 0, no_delay: 0, tos: 0, free_bind: 0, mark: 0 }]);
  });
});

describe("a socket with flush_pending", () => {
  test("turns away who has waited for a stopped service, and takes who comes after its start", async () => {
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}"]
        flush_pending = true
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"`,
    });
    await scene.ready("web");
    await scene.act("web", "stop");
    const early = await connect({ host, port });
    await scene.act("web", "start");
    expect(await early.answer).toBe(""); // Closed without an answer.
    expect(await ask({ host, port })).toBe(`${await scene.pid("web")}\n`);
  });
});

describe("an address that another process holds", () => {
  test("is named with its holder, harms no other service, and is bound once it is free", async () => {
    const [taken, free] = [await freePort(), await freePort()];
    const foreign = createServer().listen(taken, host);
    await once(foreign, "listening");
    const scene = await start({
      config: `
        [socket.taken]
        listen = ["tcp://${host}:${taken}"]
        [socket.free]
        listen = ["tcp://${host}:${free}"]
        [service.blocked]
        ${command("answers-pid")}
        sockets = ["taken"]
        ready = "notify"
        [service.works]
        ${command("answers-pid")}
        sockets = ["free"]
        ready = "notify"`,
    });
    await scene.ready("works");
    expect(await ask({ host, port: free })).toBe(`${await scene.pid("works")}\n`);
    const { bound, error } = await scene.socket("taken");
    expect(bound).toBe(false);
    expect(error).toContain(`tcp://${host}:${taken}`);
    expect(error).toMatch(new RegExp(`"[^"]+" \\(pid ${process.pid}, user \\w+\\)`));
    expect(await scene.service("blocked")).toMatchObject({
      phase: "blocked",
      workers: [],
      next: error && expect.stringContaining(error),
    });
    const { code, stderr } = await scene.holdfast.cli("start", "blocked");
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(`pid ${process.pid}`) });

    foreign.close();
    await scene.ready("blocked");
    expect(await ask({ host, port: taken })).toBe(`${await scene.pid("blocked")}\n`);
    expect(await scene.socket("taken")).not.toHaveProperty("error");
  });
});

describe("port 0", () => {
  test("is a free port, which is shown and stays the same across restarts", async () => {
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:0"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"`,
    });
    await scene.ready("web");
    const { address } = await scene.socket("s");
    const port = Number(/^tcp:\/\/127\.0\.0\.1:(\d+)$/.exec(address)?.[1]);
    expect(port).toBeGreaterThan(0);
    expect(scene.holdfast.output).toContain(`http://${host}:${port}`);
    expect(await ask({ host, port })).toBe(`${await scene.pid("web")}\n`);
    await scene.restart("web");
    await scene.restart("web", true);
    expect(await scene.socket("s")).toMatchObject({ address });
    expect(await ask({ host, port })).toBe(`${await scene.pid("web")}\n`);
  });
});

/** What a server leaves that was killed: the file of a socket on which nobody listens. */
function leaveSocket(path: string): void {
  const program = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
  execFileSync("/usr/bin/python3", ["-I", "-S", "-c", program, path]);
}
