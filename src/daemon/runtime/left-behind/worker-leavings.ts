import { closeMembers, type TreeMember } from "../process-tree.js";
import type { OpenWorkers } from "../workers/open-workers.js";
import type { WorkerTrees } from "../workers/worker-trees.js";
import { complain, type WorkersInput } from "../workers/workers-input.js";

export interface LeavingsInput extends Pick<WorkersInput, "setup" | "world" | "find"> {
  readonly open: Pick<OpenWorkers, "of">;
  readonly trees: Pick<WorkerTrees, "tree" | "signs">;
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
      const members = this.#o.trees.tree(worker, true)?.members() ?? [];
      closeMembers(members);
      const familiar = members.map(({ pid, startTicks }) => ({ pid, startTicks }));
      this.#familiar.set(worker, familiar);
    } catch (error) {
      this.#complain(worker, error as Error);
    }
  }

  /** Its own process has ended. Returns how many others go on; whatever goes wrong, they end with Holdfast in any case. */
  leave(worker: number): number {
    const { setup, world, find, trees, open } = this.#o;
    const signs = trees.signs(worker);
    const resources = open.of(worker);
    if (signs === undefined || resources === undefined) return 0;
    const own = [...signs.own, ...(this.#familiar.get(worker) ?? [])];
    this.#familiar.delete(worker);
    const leaving = { service: setup().config.name, slot: find(worker)?.slot ?? 0, worker, ...signs, own };
    try {
      return world.leftBehind.take(leaving, () => resources.duplicateOutput());
    } catch (error) {
      this.#complain(worker, error as Error);
      return 0;
    }
  }

  #complain(worker: number, error: Error): void {
    complain(this.#o, `what worker ${worker} leaves behind is not known: ${error.message}`, error);
  }
}
