import { setTimeout as pause } from "node:timers/promises";
import type { HealthPolicy } from "../../config/config.js";
import type { Worker } from "../../lifecycle/worker.js";
import type { Logger } from "../logger.js";
import { type Ask, type AskingInput, askItself, askOf } from "./asking.js";

export interface HealthInput extends AskingInput {
  /** It counts as unhealthy from now on, for this reason, or does not any more (undefined). */
  readonly changed: (worker: number, reason: string | undefined) => void;
  readonly log: Pick<Logger, "warn">;
}

/** Asks the ready workers of one service at intervals how they are. */
export class WorkerHealth {
  readonly #o: HealthInput;
  readonly #loops = new Map<number, HealthLoop>();
  #policy: string | undefined;

  constructor(input: HealthInput) {
    this.#o = input;
  }

  /** Those that are ready now, and nobody else, are asked from now on, as the configuration in force says. May be called as often as you like. */
  follow(ready: readonly Worker[]): void {
    const { health } = this.#o.setup().config;
    const policy = JSON.stringify(health);
    if (policy !== this.#policy) this.closeAll();
    this.#policy = policy;
    const wanted = new Set(ready.map(({ id }) => id));
    for (const [id, loop] of this.#loops) {
      if (wanted.has(id)) continue;
      loop.close();
      this.#loops.delete(id);
    }
    if (health === undefined) return;
    for (const worker of ready) {
      const ask = this.#loops.has(worker.id) ? undefined : askOf(health, worker, "health", this.#o);
      if (ask === undefined) continue;
      const changed = (reason: string | undefined): void => this.#o.changed(worker.id, reason);
      const who = `${this.#o.setup().config.name}/${worker.slot}`;
      const notAsked = (reason: string): void =>
        this.#o.log.warn(`the health of ${who} is not known: ${reason}; the worker is left as it is`);
      this.#loops.set(
        worker.id,
        new HealthLoop({ policy: health, ask, unhealthy: worker.unhealthy === true, changed, notAsked }),
      );
    }
  }

  /** Why a worker counts as unhealthy; undefined: it does not. */
  reason(worker: number): string | undefined {
    return this.#loops.get(worker)?.reason;
  }

  closeAll(): void {
    for (const loop of this.#loops.values()) loop.close();
    this.#loops.clear();
  }
}

interface LoopInput {
  readonly policy: HealthPolicy;
  readonly ask: Ask;
  /** It counts as unhealthy already: an earlier supervisor has asked it, or under another policy. */
  readonly unhealthy: boolean;
  readonly changed: (reason: string | undefined) => void;
  /** It could not even be asked, for another reason than the time before. */
  readonly notAsked: (reason: string) => void;
}

class HealthLoop {
  readonly #o: LoopInput;
  readonly #stop = new AbortController();
  reason: string | undefined;

  constructor(input: LoopInput) {
    this.#o = input;
    this.reason = input.unhealthy ? "it was unhealthy when it was last asked" : undefined;
    this.#run().catch((error: Error) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { policy, ask, changed, notAsked } = this.#o;
    const { signal } = this.#stop;
    let obstacle: string | undefined;
    for (let failures = 0, successes = 0; ; ) {
      await pause(policy.everyMs, undefined, { signal, ref: false });
      const result = await askItself(ask, signal);
      signal.throwIfAborted();
      // That others have caught the question says nothing of this one.
      if (result.ok === "other-worker") continue;
      if (result.ok === "not-asked") {
        if (result.reason !== obstacle) notAsked(result.reason);
        obstacle = result.reason;
        continue;
      }
      obstacle = undefined;
      failures = result.ok ? 0 : failures + 1;
      successes = result.ok ? successes + 1 : 0;
      const before = this.reason;
      if (result.ok) this.reason = successes < (policy.successes ?? 1) ? before : undefined;
      else if (before !== undefined || failures >= policy.failures) this.reason = result.reason;
      if ((before === undefined) !== (this.reason === undefined)) changed(this.reason);
    }
  }
}
