import type { ReloadPolicy } from "../../config/config.js";
import type { Outcome } from "../../control/api.js";
import { isWanted } from "../../lifecycle/end.js";
import type { Worker } from "../../lifecycle/worker.js";
import { keepWords } from "../commands/keep-words.js";
import { KeeperError } from "../keeper/keeper-error.js";
import { signalNumber } from "../words.js";
import { keyOf, type WorkersInput } from "../workers/workers-input.js";
import { reloadOutcome } from "./reload-outcome.js";
import type { WorkerNotices } from "./worker-notices.js";
import type { Reloaded, WorkerReloads } from "./worker-reloads.js";

/** A worker that has never said RELOADING=1 is not waited for any longer. */
const RELOADING_WITHIN_MS = 2_000;

export interface TellReloadInput extends Pick<WorkersInput, "setup" | "world" | "find" | "ring"> {
  readonly notices: Pick<WorkerNotices, "of">;
  readonly reloads: Pick<WorkerReloads, "wait" | "ended">;
}

/** Tells workers of one service to read their configuration again: by a signal, or by the command that is there for it. */
export class TellReload {
  readonly #o: TellReloadInput;

  constructor(input: TellReloadInput) {
    this.#o = input;
  }

  /** All of these, and waits for those that say when they have. */
  async tell(workers: readonly Worker[], policy: ReloadPolicy): Promise<Pick<Outcome, "result" | "message">> {
    const service = this.#o.setup().config.name;
    const told = workers.map(async (worker) => ({
      instance: `${service}/${worker.slot}`,
      how: await this.#tell(worker, policy),
    }));
    return reloadOutcome({ service, policy, workers: await Promise.all(told) });
  }

  /** Of one whose end the machine is about to hear of: nobody waits for it any longer. */
  ended(worker: number): "ended" | "retired" {
    const how = isWanted(this.#o.find(worker)?.reason) ? "retired" : "ended";
    this.#o.reloads.ended(worker, how);
    return how;
  }

  async #tell(worker: Worker, policy: ReloadPolicy): Promise<Reloaded> {
    const { timeoutMs, wait } = policy;
    const { when } = this.#o.setup().config.ready;
    const notifies = when === "notify" || (when === "auto" && this.#o.notices.of(worker.id).ready === true);
    // With `auto` nobody has promised that it says RELOADING=1: gunicorn says READY=1 and never that.
    const patienceMs = when === "auto" ? Math.min(timeoutMs, RELOADING_WITHIN_MS) : timeoutMs;
    const waiting = wait && notifies ? this.#o.reloads.wait(worker.id, { timeoutMs, patienceMs }) : undefined;
    const bad = await (policy.command === undefined
      ? this.#signal(worker.id, policy.signal)
      : this.#command(worker, policy.command, timeoutMs));
    if (bad !== undefined) return bad;
    const how = (await waiting) ?? "sent";
    return how === "silent" && when === "auto" ? "sent" : how;
  }

  async #signal(worker: number, signal: string | undefined): Promise<Reloaded | undefined> {
    try {
      await this.#o.world.keeper.signal(keyOf(this.#o, worker), signalNumber(signal ?? "") ?? 0);
      return undefined;
    } catch (error) {
      if (!(error instanceof KeeperError)) throw error;
      return this.ended(worker);
    }
  }

  async #command(worker: Worker, argv: readonly string[], timeoutMs: number): Promise<Reloaded | undefined> {
    const { world, ring, setup } = this.#o;
    const service = setup().config;
    const { signal } = new AbortController(); // Nobody takes a reload back.
    const { problem, said } = await world.commands.about(worker, {
      service,
      purpose: "reload",
      argv,
      timeoutMs,
      signal,
    });
    const where = { service: service.name, instance: `${service.name}/${worker.slot}`, worker: worker.id };
    keepWords(ring, where, said);
    return problem === undefined ? undefined : { problem };
  }
}
