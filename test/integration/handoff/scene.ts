import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { expect } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { bind, listen, localAddress, type OwnedFd, setSocketOption, socket } from "../../../src/ancillary/index.js";
import { openChannelPair } from "../../../src/daemon/runtime/handoff/channel-pair.js";
import type { HandoffCounts } from "../../../src/daemon/runtime/handoff/member.js";
import { HandoffRelay } from "../../../src/daemon/runtime/handoff/relay.js";
import { python } from "../../fixtures/python.js";
import { newDescriptors, openDescriptors } from "../../unit/ancillary/census.js";

export const fixtures = resolve(import.meta.dirname, "../../fixtures");

export interface StartOptions {
  readonly slot?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Whether it gets a channel; true. */
  readonly channel?: boolean;
}

export class HandoffWorker {
  readonly ended: Promise<number | NodeJS.Signals>;
  output = "";
  isReady = false;
  hasLeft = false;

  constructor(
    readonly id: number,
    readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (bytes) => {
        this.output += bytes;
      });
    }
    this.ended = new Promise((done) => child.once("exit", (code, signal) => done(signal ?? code ?? -1)));
  }

  get pid(): number {
    return this.child.pid!;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** The supervisor's side of the handoff, with its real classes, and real workers; this process stands for supervisor and keeper. */
export class HandoffScene {
  readonly before = openDescriptors();
  readonly listeners = new Map<string, OwnedFd>();
  readonly workers = new Map<number, HandoffWorker>();
  readonly drops: string[] = [];
  /** Our ends, as the keeper holds them. */
  readonly kept = new Map<number, OwnedFd>();
  relay: HandoffRelay;
  #lastWorker = 0;

  constructor(readonly o: { readonly adoptMs?: number } = {}) {
    this.relay = this.#newRelay();
  }

  /** A new TCP socket on the loopback; its port. */
  listen(name: string): number {
    const fd = socket("tcp", "ipv4");
    setSocketOption(fd, "SO_REUSEADDR", true);
    bind(fd, { kind: "ipv4", host: "127.0.0.1", port: 0 });
    listen(fd, 1024);
    this.listeners.set(name, fd);
    return (localAddress(fd) as { port: number }).port;
  }

  get offered(): { name: string; backlog: number; fd: OwnedFd }[] {
    return [...this.listeners].map(([name, fd]) => ({ name, backlog: 1024, fd }));
  }

  start(program: string, options: StartOptions = {}): HandoffWorker {
    this.#lastWorker += 1;
    const id = this.#lastWorker;
    const sockets = [...this.listeners];
    const pair = options.channel === false ? undefined : openChannelPair();
    const fds = [...sockets.map(([, fd]) => fd), ...(pair === undefined ? [] : [pair.theirs])];
    const run = program.endsWith(".py") ? python : [process.execPath];
    const file = program.startsWith("/") ? program : resolve(fixtures, program);
    const child = spawn("sh", ["-c", 'LISTEN_PID=$$ exec "$@"', "sh", ...run, file], {
      stdio: ["ignore", "pipe", "pipe", ...fds.map((fd) => fd.borrow().number)],
      env: {
        ...process.env,
        LISTEN_FDS: String(sockets.length),
        LISTEN_FDNAMES: sockets.map(([name]) => name).join(":"),
        ...(pair === undefined ? {} : { HOLDFAST_CHANNEL: String(3 + sockets.length) }),
        ...options.env,
      },
    });
    pair?.theirs.close();
    const worker = new HandoffWorker(id, child);
    this.workers.set(id, worker);
    if (pair !== undefined) {
      this.kept.set(id, pair.ours.duplicate());
      this.#join(worker, pair.ours, options.slot ?? 1, false);
    }
    void worker.ended.then(() => this.#gone(id));
    return worker;
  }

  async ready(worker: HandoffWorker): Promise<void> {
    await until(`worker ${worker.id} is ready`, () => worker.isReady || worker.child.exitCode !== null);
    expect(worker.isReady, worker.output).toBe(true);
  }

  async startReady(program: string, options: StartOptions = {}): Promise<HandoffWorker> {
    const worker = this.start(program, options);
    await this.ready(worker);
    return worker;
  }

  /** Starts a successor, waits for it, retires the predecessor and waits for its end. */
  async replace(worker: HandoffWorker, program: string, options: StartOptions = {}): Promise<HandoffWorker> {
    const successor = await this.startReady(program, options);
    this.relay.retire(worker.id, 20_000);
    expect(await worker.ended, worker.output).toBe(0);
    return successor;
  }

  /** What a crash of the supervisor leaves behind, and what the next one begins with. */
  replaceSupervisor(): void {
    this.relay.close();
    this.relay = this.#newRelay();
    for (const [id, fd] of this.kept) {
      const worker = this.workers.get(id)!;
      worker.isReady = false;
      this.#join(worker, fd.duplicate(), 1, true);
    }
  }

  /** What became of its connections, after its end. */
  countsOf({ id }: HandoffWorker): Promise<HandoffCounts> {
    return until(`the counts of worker ${id} are known`, () => this.#finalCounts.get(id));
  }

  /** Ends the workers that are left, and takes the census. */
  async end(): Promise<void> {
    for (const worker of this.workers.values()) if (worker.child.exitCode === null) worker.kill("SIGKILL");
    await Promise.all([...this.workers.values()].map(({ ended }) => ended));
    this.relay.close();
    for (const fd of this.kept.values()) fd.close();
    for (const fd of this.listeners.values()) fd.close();
    await until("its pipes are closed", () =>
      [...this.workers.values()].every(({ child }) => child.stdout?.closed && child.stderr?.closed),
    );
    expect(newDescriptors(this.before)).toEqual([]);
  }

  readonly #finalCounts = new Map<number, HandoffCounts>();

  async #gone(id: number): Promise<void> {
    const counts = await this.relay.leave(id);
    this.kept.get(id)?.close();
    this.kept.delete(id);
    if (counts !== undefined) this.#finalCounts.set(id, counts);
  }

  #join(worker: HandoffWorker, channel: OwnedFd, slot: number, reopened: boolean): void {
    this.relay.join({
      worker: worker.id,
      slot,
      channel,
      sockets: this.offered,
      reopened,
      isSender: ({ pid }) => pid === worker.pid,
    });
  }

  #newRelay(): HandoffRelay {
    const find = (id: number): HandoffWorker => this.workers.get(id)!;
    return new HandoffRelay(
      "web",
      {
        ready: (id) => {
          find(id).isReady = true;
        },
        status: () => {},
        left: (id) => {
          find(id).hasLeft = true;
        },
        dropped: (_, why, detail) => this.drops.push(`${why}: ${detail}`),
        ended: () => {},
      },
      this.o,
    );
  }
}
