import type { ServiceConfig } from "../config/config.js";
import { type ServiceEffect, type ServiceEvent, type ServiceState, workersOf } from "../lifecycle/service-state.js";
import { resumeWorker, stopSignalOf } from "../lifecycle/worker.js";
import type { ArmRecord, ChildRecord, HeldRecord, ListedChild } from "./keeper/records.js";
import { workerKey } from "./service-store.js";
import type { ServiceWorkers } from "./service-workers.js";
import { signalNumber } from "./words.js";

/** What an earlier supervisor has left in the keeper. */
export interface KeeperTables {
  readonly children: readonly ListedChild[];
  readonly arms: readonly ArmRecord[];
  readonly held: readonly HeldRecord[];
}

/** What is to be done with workers that are open again, in this order. */
export interface Adopted {
  /** What may not have happened. */
  readonly effects: readonly ServiceEffect[];
  readonly events: readonly ServiceEvent[];
  /** What the keeper tells of them. It comes after what the worker itself has said before. */
  readonly news: readonly { readonly worker: number; readonly child: ChildRecord }[];
}

/** Opens what the keeper kept of the workers that an earlier supervisor started, and finds out how to go on with each. */
export async function adoptWorkers(
  state: ServiceState,
  config: ServiceConfig,
  { children, arms }: KeeperTables,
  workers: Pick<ServiceWorkers, "reopen">,
): Promise<Adopted> {
  const childOf = new Map(children.map((child) => [child.key, child]));
  const armOf = new Map(arms.map((arm) => [arm.key, arm]));
  const effects: ServiceEffect[] = [];
  const events: ServiceEvent[] = [];
  const news: Adopted["news"][number][] = [];
  for (const { worker } of workersOf(state)) {
    const key = workerKey(config.name, worker.slot, worker.id);
    const child = childOf.get(key);
    const arm = armOf.get(key);
    const record = child ?? arm;
    if (record !== undefined) await workers.reopen(worker.id, record);
    const stopSignal = signalNumber(stopSignalOf(worker, config) ?? "") ?? 0;
    const wasSignalled =
      child !== undefined && stopSignal > 0 && ((child.signals >> BigInt(stopSignal - 1)) & 1n) === 1n;
    const resumed = resumeWorker(worker, { child: child !== undefined, arm: arm !== undefined, wasSignalled }, config);
    effects.push(...resumed.effects);
    for (const event of resumed.events) events.push({ type: "worker", worker: worker.id, event });
    if (child !== undefined) news.push({ worker: worker.id, child });
  }
  return { effects, events, news };
}
