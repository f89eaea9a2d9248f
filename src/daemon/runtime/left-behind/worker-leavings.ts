import type { Logger } from "../logger.js";
import { closeMembers, type TreeMember } from "../process-tree.js";
import type { WorkerResources } from "../worker-resources.js";
import type { WorkerTree } from "../worker-tree.js";
import type { Leaving, LeftBehind } from "./left-behind.js";

export interface LeavingsInput {
  readonly service: string;
  readonly log: Logger;
  readonly leftBehind: () => LeftBehind;
  /** Of a worker whose own process is there. */
  readonly treeOf: (worker: number) => WorkerTree | undefined;
  readonly slotOf: (worker: number) => number;
  readonly signsOf: (worker: number) => Omit<Leaving, "service" | "slot" | "worker"> | undefined;
  readonly resourcesOf: (worker: number) => WorkerResources | undefined;
}

/** What the workers of one service leave behind, from the moment that they are asked to end. */
export class WorkerLeavings {
  readonly #o: LeavingsInput;
  /** Of workers that were asked to end: their processes at that moment. */
  readonly #familiar = new Map<number, readonly Pick<TreeMember, "pid" | "startTicks">[]>();

  constructor(input: LeavingsInput) {
    this.#o = input;
  }

  /** What it is about to leave behind is known best while it is there: afterwards nothing has a parent that tells whose it is. */
  remember(worker: number): void {
    try {
      const members = this.#o.treeOf(worker)?.members() ?? [];
      closeMembers(members);
      const familiar = members.map(({ pid, startTicks }) => ({ pid, startTicks }));
      this.#familiar.set(worker, familiar);
    } catch (error) {
      this.#complain(worker, error as Error);
    }
  }

  /** Its own process has ended. Returns how many others go on; whatever goes wrong, they end with Holdfast in any case. */
  leave(worker: number): number {
    const { service, leftBehind, signsOf, slotOf, resourcesOf } = this.#o;
    const signs = signsOf(worker);
    const resources = resourcesOf(worker);
    if (signs === undefined || resources === undefined) return 0;
    const own = [...signs.own, ...(this.#familiar.get(worker) ?? [])];
    this.#familiar.delete(worker);
    const leaving = { service, slot: slotOf(worker), worker, ...signs, own };
    try {
      return leftBehind().take(leaving, () => resources.duplicateOutput());
    } catch (error) {
      this.#complain(worker, error as Error);
      return 0;
    }
  }

  #complain(worker: number, error: Error): void {
    const { service, log } = this.#o;
    log.error(`${service}: what worker ${worker} leaves behind is not known: ${error.message}`, { error });
  }
}
