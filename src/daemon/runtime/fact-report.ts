import type { ServiceConfig } from "../config/config.js";
import type { ServiceFact } from "../lifecycle/service-state.js";
import { hasCompleted, isTask } from "../lifecycle/task.js";
import type { RestartReceipts } from "./restart-receipts.js";
import type { ServiceWorld } from "./service-world.js";
import { factSentence } from "./words.js";

/** Tells what has become of a service: a line in our own log, and an event for those who follow. */
export class FactReport {
  readonly #world: Pick<ServiceWorld, "log" | "events">;
  readonly #receipts: Pick<RestartReceipts, "view">;

  constructor(world: Pick<ServiceWorld, "log" | "events">, receipts: Pick<RestartReceipts, "view">) {
    this.#world = world;
    this.#receipts = receipts;
  }

  add(config: ServiceConfig, fact: ServiceFact, more: Omit<Parameters<typeof factSentence>[2], "completes">): void {
    const { name } = config;
    const completes =
      fact.type === "worker-ended" && isTask(config) && hasCompleted(fact.end, fact.reason, config.restart);
    const { message, level } = factSentence(name, fact, { ...more, completes });
    const { type, ...rest } =
      fact.type === "restarted" ? { ...fact, receipt: this.#receipts.view(fact.receipt) } : fact;
    const where = {
      service: name,
      ...("slot" in fact ? { instance: `${name}/${fact.slot}` } : {}),
      ...("worker" in fact ? { worker: fact.worker } : {}),
    };
    const pid = more.pid === undefined ? {} : { pid: more.pid };
    this.#world.log[level](message, { event: type, ...where, ...pid });
    this.#world.events.add({ type, message, ...where, data: { ...rest, ...pid } });
  }
}
