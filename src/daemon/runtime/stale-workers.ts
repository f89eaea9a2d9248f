import type { Answered } from "./askers.js";
import type { Logger } from "./logger.js";
import type { Service } from "./service.js";

/** Between tries to bring a service back to the configuration in force. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/** Brings services back to the configuration in force that an apply, which was cut off or could not be undone, has left with workers of another one. */
export class StaleWorkers {
  readonly #log: Logger;
  readonly #nextAsker: () => number;
  readonly #isEnding: () => boolean;

  constructor(o: { readonly log: Logger; readonly nextAsker: () => number; readonly isEnding: () => boolean }) {
    this.#log = o.log;
    this.#nextAsker = o.nextAsker;
    this.#isEnding = o.isEnding;
  }

  /** An apply that was cut off may have left workers, and a size, of a configuration that never came in force. */
  settle(name: string, service: Service): void {
    const report = ({ answer, failure }: Answered): void => {
      this.#log.info(`${name} is as the configuration in force says: ${failure?.message ?? answer}`);
    };
    const { configured } = service.state;
    const { workers } = service.config;
    void this.#bringBack(service, FIRST_RETRY_MS).then((answered) => answered && report(answered));
    if (configured !== undefined && configured !== workers) {
      const asker = this.#nextAsker();
      void service.ask(asker, { type: "scale", asker, size: workers, configured: workers }).then(report);
    }
    this.#log.debug(`${name} was taken over`);
  }

  /** The attempt to replace them has failed, and is repeated until there are none. */
  bringBackLater(service: Service, retryMs = FIRST_RETRY_MS): void {
    if (!service.hasStaleWorkers || this.#isEnding()) return;
    this.#log.warn(`${service.config.name} has workers of a configuration that is not in force: it is tried again`);
    const retry = (): void => {
      // An operator's command is not superseded by this one.
      if (service.state.job !== undefined) setTimeout(retry, retryMs).unref();
      else void this.#bringBack(service, Math.min(retryMs * 2, LAST_RETRY_MS));
    };
    setTimeout(retry, retryMs).unref();
  }

  /** Replaces workers of a configuration that is not in force, for as long as there are any: one that fails to start is no reason to keep them. */
  async #bringBack(service: Service, retryMs: number): Promise<Answered | undefined> {
    if (!service.hasStaleWorkers) return undefined;
    const answered = await service.configure(service.setup, this.#nextAsker());
    this.bringBackLater(service, retryMs);
    return answered;
  }
}
