import type { Worker } from "../../lifecycle/worker.js";
import { KeeperError } from "../keeper/keeper-error.js";
import { complain, keyOf, type WorkersInput } from "./workers-input.js";

const ENOENT = 2;
const ESRCH = 3;

/** Signals to the main processes of the workers of one service. One that has ended, or was never started, needs none. */
export class WorkerSignals {
  readonly #o: Pick<WorkersInput, "setup" | "world" | "find">;

  constructor(input: Pick<WorkersInput, "setup" | "world" | "find">) {
    this.#o = input;
  }

  /** Resolves with how many of them got it. */
  async sendAll(workers: readonly Pick<Worker, "id">[], signal: number): Promise<number> {
    const { keeper } = this.#o.world;
    const sent = await Promise.allSettled(workers.map(({ id }) => keeper.signal(keyOf(this.#o, id), signal)));
    return sent.filter(({ status }) => status === "fulfilled").length;
  }

  /** @param what that is, after "could not" */
  send(worker: number, signal: number, what: string): void {
    this.#o.world.keeper.signal(keyOf(this.#o, worker), signal).catch((error: Error) => {
      if (error instanceof KeeperError && (error.errno === ESRCH || error.errno === ENOENT)) return;
      complain(this.#o, `could not ${what}: ${error.message}`, error);
    });
  }
}
