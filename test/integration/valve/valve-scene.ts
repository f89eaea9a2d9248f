import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { createConnection, type NetConnectOpts, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { expect } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import type { SocketAddress } from "../../../src/ancillary/index.js";
import { childrenOf } from "../../../src/daemon/runtime/process-stat.js";
import type { EpollRegistration } from "../../../src/daemon/runtime/valve/epoll-registration.js";
import type { Valve } from "../../../src/daemon/runtime/valve/find-valve.js";
import type { TurnResult } from "../../../src/daemon/runtime/valve/turn.js";
import { KeeperRun } from "../../fault/keeper-run.js";
import { askUdp } from "../ask.js";

export type Transport = "tcp" | "udp" | "unix";

/** A worker that waits for the shared socket, with all processes that it has. */
export interface Waiting {
  readonly key: string;
  readonly pids: readonly number[];
}

export interface WorkerOptions {
  readonly processes?: number;
  readonly uid?: number;
  readonly env?: readonly string[];
  readonly directory?: string;
  /** How many are expected to show that they wait: registrations and threads. */
  readonly waits?: number;
}

/** A keeper whose supervisor (supervisor.mjs) does what the test says, and one shared socket. */
export class ValveScene {
  readonly #run: KeeperRun;
  #connection!: Socket;
  #answers!: AsyncIterator<string>;
  #address!: SocketAddress;
  #transport!: Transport;
  #workers = 0;

  private constructor(uid: number | undefined) {
    const script = 'exec "$NODE" "$ROOT/test/integration/valve/supervisor.mjs"';
    this.#run = new KeeperRun({ script, ...(uid === undefined ? {} : { uid }) });
  }

  static async start(transport: Transport, uid?: number): Promise<ValveScene> {
    const scene = new ValveScene(uid);
    const path = join(scene.#run.directory, "rpc.sock");
    scene.#connection = await until("the supervisor listens", () => connectTo(path), { timeoutMs: 20_000 });
    scene.#answers = createInterface({ input: scene.#connection })[Symbol.asyncIterator]();
    scene.#transport = transport;
    const unix = { kind: "unix", path: join(scene.#run.directory, "shared.sock") } as const;
    const address = transport === "unix" ? unix : { kind: "ipv4", host: "127.0.0.1", port: 0 };
    scene.#address = await scene.#tell("listen", { kind: transport, address });
    return scene;
  }

  async #tell<T>(command: string, input: object): Promise<T> {
    this.#connection.write(`${JSON.stringify({ command, ...input })}\n`);
    const { value } = await this.#answers.next();
    const { result, error } = JSON.parse(value ?? `{"error":"the supervisor is gone: ${this.#run.output}"}`);
    if (error !== undefined) throw new Error(error);
    return result;
  }

  /** Starts it and waits until the kernel shows it waiting for the socket. */
  async worker(
    argv: readonly string[],
    { processes = 1, waits = processes, ...start }: WorkerOptions = {},
  ): Promise<Waiting> {
    this.#workers += 1;
    const key = `web/0/${this.#workers}`;
    const pid = await this.#tell<number>("spawn", { key, argv, ...start });
    return until(`${argv.join(" ")} waits`, async () => {
      const pids = [pid, ...childrenOf(pid)];
      const { registrations, blocking } = await this.find({ key, pids });
      return pids.length === processes && registrations.length + blocking.length === waits && { key, pids };
    });
  }

  find({ pids }: Waiting): Promise<Valve> {
    return this.#tell("find", { pids });
  }

  rearmed({ pids }: Waiting): Promise<EpollRegistration[]> {
    return this.#tell("rearmed", { pids });
  }

  quiesce(registrations: readonly EpollRegistration[]): Promise<TurnResult[]> {
    return this.#tell("quiesce", { registrations });
  }

  resume(registrations: readonly EpollRegistration[]): Promise<TurnResult[]> {
    return this.#tell("resume", { registrations });
  }

  signal({ key }: Waiting, signal: NodeJS.Signals): Promise<void> {
    return this.#tell("signal", { key, signal });
  }

  nudge(registrations: readonly EpollRegistration[]): Promise<TurnResult[]> {
    return this.#tell("nudge", { registrations });
  }

  /** The wait status, once it has ended; the keeper forgets it then. */
  exited({ key }: Waiting): Promise<number> {
    return this.#tell("exited", { key });
  }

  get #target(): NetConnectOpts {
    return this.#address.kind === "unix"
      ? { path: this.#address.path }
      : { host: "127.0.0.1", port: this.#address.port };
  }

  /** The pid of the process that answers a new connection or datagram. */
  async ask(protocol: "line" | "http" = "line"): Promise<number> {
    if (this.#transport === "udp") return Number(await askUdp(this.port));
    return protocol === "http" ? this.hold("http").finish() : this.#line("ask\n").answer;
  }

  /** The pids that answer so many new connections, one after the other. */
  async askMany(count: number, protocol: "line" | "http"): Promise<Set<number>> {
    const pids = new Set<number>();
    for (let index = 0; index < count; index += 1) pids.add(await this.ask(protocol));
    return pids;
  }

  /** A request that is answered once it is finished. */
  hold(protocol: "line" | "http"): { readonly finish: () => Promise<number> } {
    if (protocol === "line") {
      const { socket, answer } = this.#line("hold\n");
      return {
        finish: () => {
          socket.write("go\n");
          return answer;
        },
      };
    }
    const target = this.#target as { path?: string; host?: string; port?: number };
    const to = target.path === undefined ? target : { socketPath: target.path };
    const sent = request({ ...to, method: "POST", agent: false });
    const answer = new Promise<IncomingMessage>((resolve, reject) => sent.on("response", resolve).on("error", reject));
    sent.flushHeaders();
    return {
      finish: async () => {
        sent.end();
        return Number(await text(await answer));
      },
    };
  }

  #line(words: string): { readonly socket: Socket; readonly answer: Promise<number> } {
    const socket = createConnection(this.#target);
    socket.write(words);
    return { socket, answer: text(socket).then(Number) };
  }

  /** Ends the worker as an operator would, and expects it to end of that. */
  async stop(worker: Waiting, status: number): Promise<void> {
    await this.signal(worker, "SIGTERM");
    expect(await this.exited(worker)).toBe(status);
  }

  /** Of the shared TCP socket. */
  get port(): number {
    return (this.#address as { port: number }).port;
  }

  /** An empty folder that lives as long as the scene. */
  folder(name: string): string {
    const path = join(this.#run.directory, name);
    mkdirSync(path);
    return path;
  }

  close(): void {
    this.#connection.destroy();
  }
}

/** epoll_wait and epoll_pwait(2); futex; and rt_sigsuspend and select of a master process: their numbers in asm/unistd.h. */
const IDLE_CALLS = process.arch === "x64" ? [232, 281, 441, 202, 130, 23, 270] : [22, 441, 98, 133, 72];

/** Resolves once all threads of the worker wait, which it says nothing about: what it was woken for it may still accept, however its valve is. */
export async function waitsAgain({ pids }: Waiting): Promise<void> {
  const calls = (pid: number) =>
    readdirSync(`/proc/${pid}/task`).map((thread) => readFileSync(`/proc/${pid}/task/${thread}/syscall`, "latin1"));
  const idle = (call: string) => IDLE_CALLS.includes(Number.parseInt(call, 10));
  await until("the worker waits again", () => pids.flatMap(calls).every(idle));
}

/** How many sockets these processes have, each once for each process. */
export function socketCount({ pids }: Pick<Waiting, "pids">): number {
  const links = pids.flatMap((pid) => readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)));
  return links.filter((link) => link.startsWith("socket:")).length;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // It was closed in the meantime.
  }
}

/** A connection; undefined while nobody listens there. */
async function connectTo(path: string): Promise<Socket | undefined> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
    return socket;
  } catch (error) {
    if (["ENOENT", "ECONNREFUSED"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
