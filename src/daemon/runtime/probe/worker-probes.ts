import type { ServiceSetup } from "../service-setup.js";
import type { SocketTable } from "../socket-table.js";
import { probeSource } from "../steering/steering-program.js";
import { ProbeLoop } from "./probe-loop.js";
import { probeTarget } from "./probe-target.js";

export interface ProbesInput {
  readonly setup: () => ServiceSetup;
  readonly sockets: SocketTable;
  /** Of a worker's whole tree. */
  readonly pids: (worker: number) => readonly number[];
  readonly answered: (worker: number) => void;
}

/** The probes of the workers of one service that are not ready yet. */
export class WorkerProbes {
  readonly #o: ProbesInput;
  readonly #loops = new Map<number, ProbeLoop>();

  constructor(input: ProbesInput) {
    this.#o = input;
  }

  /** @param lane of its steered sockets: probes take their way by the source address */
  start(worker: number, lane: number | undefined): void {
    const { config, sockets } = this.#o.setup();
    const policy = config.ready.probe;
    if (policy === undefined || this.#loops.has(worker)) return;
    const own = sockets.flatMap((socket) => this.#o.sockets.addresses(socket));
    const steered = lane !== undefined && sockets[0]?.distribution === "steered";
    const target = probeTarget(policy, own, steered ? probeSource(lane) : undefined);
    if (target === undefined) return; // Refused by the configuration's checks.
    const loop = new ProbeLoop({
      policy,
      target,
      pids: () => this.#o.pids(worker),
      onReady: () => this.#o.answered(worker),
    });
    this.#loops.set(worker, loop);
  }

  stop(worker: number): void {
    this.#loops.get(worker)?.close();
  }

  /** Forgets the worker. Why its last probe failed, if that is so. */
  end(worker: number): string | undefined {
    const loop = this.#loops.get(worker);
    this.stop(worker);
    this.#loops.delete(worker);
    return loop?.lastReason;
  }

  closeAll(): void {
    for (const loop of this.#loops.values()) loop.close();
    this.#loops.clear();
  }
}
