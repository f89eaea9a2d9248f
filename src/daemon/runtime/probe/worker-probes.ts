import type { Worker } from "../../lifecycle/worker.js";
import { type AskingInput, askOf } from "./asking.js";
import { ProbeLoop } from "./probe-loop.js";

export interface ProbesInput extends AskingInput {
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
    const ask = policy && askOf(policy, worker, "probe", this.#o);
    if (policy === undefined || ask === undefined || this.#loops.has(worker.id)) return;
    this.#loops.set(worker.id, new ProbeLoop({ policy, ask, onReady: () => this.#o.answered(worker.id) }));
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
