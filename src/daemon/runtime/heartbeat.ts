import type { Keeper } from "./keeper/keeper-client.js";
import type { Logger } from "./logger.js";

/** More heartbeats than one fit the watchdog, so that one late timer is no death sentence. */
const HEARTBEATS_PER_WATCHDOG = 3;

/** Tells the keeper again and again that this supervisor is not stuck. */
export class Heartbeat {
  readonly #keeper: Pick<Keeper, "heartbeat">;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;

  constructor(keeper: Pick<Keeper, "heartbeat">, log: Logger) {
    this.#keeper = keeper;
    this.#log = log;
  }

  /** @param watchdogMs after so long a silence the keeper kills us; 0 = never */
  beat(watchdogMs: number): void {
    clearInterval(this.#timer);
    const beat = (): void => {
      this.#keeper.heartbeat(watchdogMs).catch((error: Error) => this.#log.error(`heartbeat: ${error.message}`));
    };
    beat();
    if (watchdogMs > 0) this.#timer = setInterval(beat, watchdogMs / HEARTBEATS_PER_WATCHDOG);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
