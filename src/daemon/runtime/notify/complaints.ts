import { LINE_EACH } from "../notify-sender.js";
import type { ServiceWorld } from "../service-world.js";

/** What workers of one service say and does not count: always in the counters of the supervisor, and now and then in its log. */
export class Complaints {
  readonly #world: Pick<ServiceWorld, "count" | "log">;
  readonly #service: () => string;
  readonly #times = new Map<string, number>();

  constructor(world: Pick<ServiceWorld, "count" | "log">, service: () => string) {
    this.#world = world;
    this.#service = service;
  }

  /** @param kind its name among the counters */
  add(kind: string, words: string): void {
    const times = (this.#times.get(kind) ?? 0) + 1;
    this.#times.set(kind, times);
    this.#world.count(kind);
    if (times % LINE_EACH === 1) this.#world.log.warn(`${this.#service()}: ${words} (${times} so far)`);
  }
}
