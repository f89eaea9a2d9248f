import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bind, listen, socket } from "../../../src/ancillary/index.js";
import type { Verdict } from "../../../src/daemon/control/authorize.js";
import type { ControlEvent } from "../../../src/daemon/control/control-event.js";
import type { GateLimits } from "../../../src/daemon/control/gate.js";
import { type ControlServer, serveControl } from "../../../src/daemon/control/server.js";
import { FakeOperations } from "./fake-operations.js";

/** A control server on a real unix socket, over a runtime in memory. */
export class ControlFixture {
  readonly operations = new FakeOperations();
  readonly logged: ControlEvent[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-control-"));
  readonly path = join(this.folder, "control.sock");
  readonly #holder = socket("unix", "unix");
  #server: ControlServer;
  readonly #o: { authorize?: () => Verdict; limits?: Partial<GateLimits> };

  constructor(o: { authorize?: () => Verdict; limits?: Partial<GateLimits> } = {}) {
    this.#o = o;
    bind(this.#holder, { kind: "unix", path: this.path });
    listen(this.#holder, 128);
    this.#server = this.#serve();
  }

  /** The server ends and another one takes over the socket, as after a crash of the supervisor. */
  async replaceServer(): Promise<void> {
    await this.#server.close();
    this.#server = this.#serve();
  }

  async close(): Promise<void> {
    await this.#server.close();
    this.#holder.close();
    rmSync(this.folder, { recursive: true });
  }

  connect(): Socket {
    return connect(this.path);
  }

  #serve(): ControlServer {
    return serveControl({
      operations: this.operations,
      listenFd: this.#holder.duplicate().release(),
      authorize: this.#o.authorize ?? (() => "allowed"),
      log: (event) => this.logged.push(event),
      ...(this.#o.limits === undefined ? {} : { limits: this.#o.limits }),
    });
  }
}

/** The open sockets and pipes of this process, for a census before and after. */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd")
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        // The descriptor with which the folder itself was read.
        return [];
      }
    })
    .filter((target) => target.startsWith("socket:"))
    .sort();
}

/** Everything that comes until the other end closes. */
export function readToEnd(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // A reset after the answer is an end too.
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") reject(error);
    });
  });
}
