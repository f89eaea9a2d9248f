import type { ProbePolicy } from "../../config/config.js";
import type { Worker } from "../../lifecycle/worker.js";
import type { CommandRuns } from "../commands/command-runs.js";
import type { ServiceSetup } from "../service-setup.js";
import type { SocketTable } from "../socket-table.js";
import { probeSource } from "../steering/steering-program.js";
import { ProbeLoop } from "./probe-loop.js";
import { type ProbeResult, probeOnce } from "./probe-once.js";
import { probeTarget } from "./probe-target.js";

type Ask = (signal: AbortSignal) => Promise<ProbeResult>;

export interface ProbesInput {
  readonly setup: () => ServiceSetup;
  readonly sockets: SocketTable;
  readonly commands: CommandRuns;
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

  start(worker: Worker): void {
    const policy = this.#o.setup().config.ready.probe;
    if (policy === undefined || this.#loops.has(worker.id)) return;
    const ask =
      policy.exec === undefined ? this.#connection(policy, worker) : this.#command(policy, policy.exec, worker);
    if (ask === undefined) return; // Refused by the configuration's checks.
    this.#loops.set(worker.id, new ProbeLoop({ policy, ask, onReady: () => this.#o.answered(worker.id) }));
  }

  /** Probes of steered sockets take their way by the source address. */
  #connection(policy: ProbePolicy, { id, lane }: Worker): Ask | undefined {
    const { sockets } = this.#o.setup();
    const own = sockets.flatMap((socket) => this.#o.sockets.addresses(socket));
    const steered = lane !== undefined && sockets[0]?.distribution === "steered";
    const target = probeTarget(policy, own, steered ? probeSource(lane) : undefined);
    if (target === undefined) return undefined;
    const { timeoutMs } = policy;
    return (signal) => probeOnce(target, { timeoutMs, pids: () => this.#o.pids(id), signal });
  }

  #command({ timeoutMs }: ProbePolicy, argv: readonly string[], worker: Worker): Ask {
    const { config: service } = this.#o.setup();
    return async (signal) => {
      const problem = await this.#o.commands.about(worker, { service, purpose: "probe", argv, timeoutMs, signal });
      signal.throwIfAborted();
      return problem === undefined ? { ok: true } : { ok: false, reason: problem };
    };
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
