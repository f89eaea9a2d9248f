import { setTimeout as pause } from "node:timers/promises";
import type { ProbePolicy } from "../../config/config.js";
import { type Ask, askItself, MOST_CAUGHT } from "./asking.js";

export interface ProbeLoopOptions {
  readonly policy: Pick<ProbePolicy, "everyMs" | "successes">;
  readonly ask: Ask;
  /** Once, when so many probes in a row have succeeded; the loop has ended then. */
  readonly onReady: () => void;
  /** After each probe that failed, in words. */
  readonly onFailure?: (reason: string) => void;
}

/** Asks one worker again and again until it is ready. It starts at once, and knows no end but `close` and success. */
export class ProbeLoop {
  readonly #o: ProbeLoopOptions;
  readonly #stop = new AbortController();
  #lastReason: string | undefined;

  constructor(options: ProbeLoopOptions) {
    this.#o = options;
    this.#run().catch((error: Error) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  /** Why the last probe failed. undefined: none has, or the last one succeeded. */
  get lastReason(): string | undefined {
    return this.#lastReason;
  }

  /** Idempotent. Nothing is called after it. */
  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { policy, onReady, onFailure } = this.#o;
    const { signal } = this.#stop;
    for (let successes = 0; ; ) {
      const reason = await this.#probe(signal);
      signal.throwIfAborted();
      this.#lastReason = reason;
      successes = reason === undefined ? successes + 1 : 0;
      if (successes === policy.successes) return onReady();
      if (reason !== undefined) onFailure?.(reason);
      await pause(policy.everyMs, undefined, { signal, ref: false });
    }
  }

  /** One probe that the worker itself has caught, and how it failed. */
  async #probe(signal: AbortSignal): Promise<string | undefined> {
    const result = await askItself(this.#o.ask, signal);
    if (result.ok === true) return undefined;
    return result.ok !== "other-worker" ? result.reason : `other processes took all ${MOST_CAUGHT} connections`;
  }
}
