import { type OwnedFd, pipe } from "../../../ancillary/index.js";
import type { ServiceConfig } from "../../config/config.js";
import type { ServiceOutput } from "../left-behind/remnant-output.js";
import { settleDrained, takeDrained } from "../logs/drained-logs.js";
import { LogRing } from "../logs/log-ring.js";
import type { LogSink } from "../logs/log-sink.js";
import { WorkerOutput } from "../logs/worker-output.js";
import type { ServiceWorld } from "../service-world.js";
import { acceptLogKey } from "./accept-store.js";

/** Both ends stay with us: for the next start, whatever becomes of the arm. */
export interface LogPipes {
  readonly stdout: { readonly read: OwnedFd; readonly write: OwnedFd };
  readonly stderr: { readonly read: OwnedFd; readonly write: OwnedFd };
}

const nothing = Buffer.alloc(0);
const STREAMS = ["stdout", "stderr"] as const;

/** What all processes of a service write: one pair of pipes for all of them, so that a connection costs none. */
export class AcceptLog {
  readonly ring = new LogRing({ maxLines: 2_000, maxBytes: 1024 * 1024 });
  readonly #world: Pick<ServiceWorld, "keeper" | "sinks">;
  readonly #complain: (what: string, error: Error) => void;
  #service: Pick<ServiceConfig, "name" | "log">;
  #pipes: LogPipes | undefined;
  #output: WorkerOutput | undefined;
  #sink: LogSink | undefined;
  #bytesDropped = 0;

  constructor(
    service: Pick<ServiceConfig, "name" | "log">,
    world: Pick<ServiceWorld, "keeper" | "sinks">,
    complain: (what: string, error: Error) => void,
  ) {
    this.#service = service;
    this.#world = world;
    this.#complain = complain;
    this.#sink = world.sinks.open(service.name, service.log);
  }

  /** Lines that the log could not take. */
  get dropped(): number {
    return this.#sink?.dropped ?? 0;
  }

  /** Bytes that the keeper could not keep while there was no supervisor. */
  get bytesDropped(): number {
    return this.#bytesDropped;
  }

  /** The pipes for the next start; new ones, where there are none. */
  pipes(): LogPipes {
    if (this.#pipes !== undefined) return this.#pipes;
    const [outRead, outWrite] = pipe();
    const [errRead, errWrite] = pipe();
    const { keeper } = this.#world;
    keeper
      .hold(acceptLogKey(this.#service.name), nothing, [outRead, outWrite, errRead, errWrite], true)
      .catch((error: Error) => this.#complain("hold its log", error));
    return this.#read({ stdout: { read: outRead, write: outWrite }, stderr: { read: errRead, write: errWrite } });
  }

  get output(): ServiceOutput {
    return { ring: this.ring, sink: this.#sink };
  }

  /** Goes on with the pipes that the keeper holds, and with what it has read from them. @param arm the key of the arm, if there is one */
  async adopt(arm: string | undefined): Promise<void> {
    const { keeper } = this.#world;
    const drained = arm === undefined ? {} : await takeDrained(keeper, arm, STREAMS);
    const [outRead, outWrite, errRead, errWrite] = await keeper.fetch("held", acceptLogKey(this.#service.name));
    if (outRead === undefined || outWrite === undefined || errRead === undefined || errWrite === undefined) return;
    for (const { dropped } of Object.values(drained)) this.#bytesDropped += dropped;
    this.#read({ stdout: { read: outRead, write: outWrite }, stderr: { read: errRead, write: errWrite } }, drained);
    if (arm === undefined) return;
    const written = this.#sink?.written() ?? Promise.resolve();
    written
      .then(() => settleDrained(keeper, arm, STREAMS))
      .catch((error: Error) => this.#complain("settle what the keeper read", error));
  }

  /** From now on it goes where this says. */
  configure(service: Pick<ServiceConfig, "name" | "log">): void {
    if (JSON.stringify(service.log) === JSON.stringify(this.#service.log)) return;
    const before = this.#sink;
    this.#service = service;
    this.#sink = this.#world.sinks.open(service.name, service.log);
    this.#output?.close();
    this.#output = undefined;
    if (this.#pipes !== undefined) this.#read(this.#pipes);
    before?.close().catch((error: Error) => this.#complain("close its log", error));
  }

  /** The newest, with what is in the pipes now. */
  lastLines(count: number): readonly string[] {
    this.#output?.readNow();
    return this.#output?.lastLines(count) ?? [];
  }

  /** Nobody writes any more: the keeper need not hold the pipes. */
  drop(): void {
    if (this.#pipes === undefined) return;
    this.#closePipes();
    this.#world.keeper
      .release(acceptLogKey(this.#service.name))
      .catch((error: Error) => this.#complain("release its log", error));
  }

  async close(): Promise<void> {
    this.#closePipes();
    await this.#sink?.close();
  }

  #read(pipes: LogPipes, drained: Awaited<ReturnType<typeof takeDrained>> = {}): LogPipes {
    this.#pipes = pipes;
    if (this.#sink === undefined) return pipes;
    this.#output = new WorkerOutput({
      worker: { service: this.#service.name, instance: this.#service.name, worker: 0 },
      stdout: pipes.stdout.read.duplicate(),
      stderr: pipes.stderr.read.duplicate(),
      ring: this.ring,
      sink: this.#sink,
      drained,
      now: () => new Date(),
    });
    return pipes;
  }

  #closePipes(): void {
    this.#output?.close();
    this.#output = undefined;
    for (const { read, write } of Object.values(this.#pipes ?? {})) {
      read.close();
      write.close();
    }
    this.#pipes = undefined;
  }
}
