import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, Socket } from "node:net";
import { afterEach, beforeEach, expect } from "vitest";
import {
  bind,
  connect as connectFd,
  listen,
  localAddress,
  type OwnedFd,
  type SocketAddress,
  socket,
} from "../../../../src/ancillary/index.js";
import { python } from "../../../fixtures/python.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";

/**
 * Answers `fast` at once and `slow` not at all, on each connection; `exit` ends it. It accepts in a thread for each connection.
 * With an argument it first connects to that port of 127.0.0.1, as a client of its own, and keeps the connection.
 */
const LINES = `
import os, socket, sys, threading
s = socket.socket(fileno=3)
if len(sys.argv) > 1: own = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); own.send(b"x")
def serve(c):
  for line in c.makefile("rb"):
    if line == b"fast\\n": c.sendall(b"done\\n")
    if line == b"exit\\n": os._exit(0)
  threading.Event().wait()
if os.environ.get("IN_CHILD") and os.fork() > 0: os.wait()
print("x", flush=True)
while True: threading.Thread(target=serve, args=(s.accept()[0],)).start()
`;

/** Real workers and clients of one test; `end` leaves nothing. */
export class Scene {
  readonly #children: ChildProcess[] = [];
  readonly #clients: Socket[] = [];
  readonly #sockets: OwnedFd[] = [];

  listener(address: SocketAddress, kind: "tcp" | "unix" | "unix-seqpacket" = "tcp"): OwnedFd {
    const fd = socket(kind, address.kind);
    this.#sockets.push(fd);
    bind(fd, address);
    listen(fd, 128);
    return fd;
  }

  /** Resolves once it is about to accept. */
  async worker(fd: OwnedFd, options: { args?: string[]; env?: Record<string, string>; uid?: number } = {}) {
    return this.program(fd, [...python, "-c", LINES, ...(options.args ?? [])], options);
  }

  async program(fd: OwnedFd, argv: string[], options: { env?: Record<string, string>; uid?: number } = {}) {
    const child = spawn(argv[0]!, argv.slice(1), {
      detached: true, // So that its own children end with it.
      stdio: ["ignore", "pipe", "inherit", fd.borrow().number],
      env: { ...process.env, ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    this.#children.push(child);
    await once(child.stdout!, "data");
    return child.pid!;
  }

  async client(fd: OwnedFd, host?: string): Promise<Socket> {
    const address = localAddress(fd);
    if (address.kind === "unix") return this.#keep(new Socket({ fd: connected(address) }));
    const client = this.#keep(connect({ port: address.port, host: host ?? address.host, allowHalfOpen: true }));
    await once(client, "connect");
    return client;
  }

  #keep(client: Socket): Socket {
    client.on("error", () => {}); // Workers are killed at the end.
    this.#clients.push(client);
    return client;
  }

  /** One question and its answer. */
  async ask(client: Socket, line = "fast"): Promise<void> {
    client.write(`${line}\n`);
    await once(client, "data");
  }

  async end(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    for (const fd of this.#sockets) fd.close();
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const closed = once(child, "close"); // Once nobody has its output open any more.
      process.kill(-child.pid!, "SIGKILL");
      await closed;
    }
  }
}

/**
 * A scene for each test of a file, given to `begin`. After the test all of it has ended, and no descriptor may be left.
 * Returns what is open that was not before the test.
 */
export function sceneOfEachTest(begin: (scene: Scene) => void): () => string[] {
  let scene: Scene;
  let before: ReturnType<typeof openDescriptors>;
  const opened = () => newDescriptors(before);
  beforeEach(async () => {
    // What Node opens once for child processes and stays.
    const warm = new Scene();
    await warm.program(warm.listener({ kind: "ipv4", host: "127.0.0.1", port: 0 }), ["sh", "-c", "echo x"]);
    await warm.end();
    before = openDescriptors();
    scene = new Scene();
    begin(scene);
  });
  afterEach(async () => {
    await scene.end();
    await expect.poll(opened, { timeout: 5_000, interval: 5 }).toEqual([]);
  });
  return opened;
}

/** Node 20 does not connect to abstract names. */
function connected(address: SocketAddress): number {
  const fd = socket("unix", "unix");
  connectFd(fd, address);
  return fd.release();
}
