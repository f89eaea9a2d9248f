import { setTimeout as pause } from "node:timers/promises";
import type { ProbePolicy } from "../../config/config.js";
import type { ProbeResult } from "./probe-once.js";

export interface ProbeLoopOptions {
  readonly policy: Pick<ProbePolicy, "everyMs" | "successes">;
  /** One probe. It rejects only when the signal is aborted. */
  readonly ask: (signal: AbortSignal) => Promise<ProbeResult>;
  /** Once, when so many probes in a row have succeeded; the loop has ended then. */
  readonly onReady: () => void;
  /** After each probe that failed, in words. */
  readonly onFailure?: (reason: string) => void;
}

/** Between tries that other workers have caught. */
const AGAIN_MS = 2;
/** So many in a row are a failure of their own. */
const MOST_CAUGHT = 64;

/** Asks one worker again and again until it is ready. It starts at once, and knows no end but `close` and success. */
export class ProbeLoop {
  readonly #o: ProbeLoopOptions;
  readonly #stop = new AbortController();
  #lastReason: string | undefined;
  #caughtByOthers = 0;

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

  /** Connections that another process took, since the start. */
  get caughtByOthers(): number {
    return this.#caughtByOthers;
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
    for (let caught = 0; caught < MOST_CAUGHT; caught++) {
      const result = await this.#o.ask(signal);
      if (result.ok === true) return undefined;
      if (result.ok === false) return result.reason;
      this.#caughtByOthers += 1;
      await pause(AGAIN_MS, undefined, { signal, ref: false });
    }
    return `other processes took all ${MOST_CAUGHT} connections`;
  }
}
