import type { Leaving } from "../left-behind/left-behind.js";
import type { WorkerNotices } from "../notify/worker-notices.js";
import { closeMembers } from "../process-tree.js";
import { ownProcesses } from "../service-store.js";
import { signalNumber } from "../words.js";
import { WorkerTree } from "../worker-tree.js";
import type { OpenWorkers } from "./open-workers.js";
import type { WorkerSignals } from "./worker-signals.js";
import { complain, type WorkersInput } from "./workers-input.js";

const SIGKILL = 9;

export interface TreesInput extends Pick<WorkersInput, "setup" | "world" | "find"> {
  readonly open: Pick<OpenWorkers, "of">;
  readonly notices: Pick<WorkerNotices, "moved">;
  readonly signals: WorkerSignals;
}

/** The workers of one service with all that descends from them: which processes these are, and their end. */
export class WorkerTrees {
  readonly #o: TreesInput;

  constructor(input: TreesInput) {
    this.#o = input;
  }

  /** By what its processes are known; undefined: nothing of it was started. */
  signs(worker: number): Omit<Leaving, "service" | "slot" | "worker"> | undefined {
    const pid = this.#o.find(worker)?.pid;
    const resources = this.#o.open.of(worker);
    if (pid === undefined || resources === undefined) return undefined;
    const moved = this.#o.notices.moved(worker);
    const { adopted, mark, tag } = resources;
    return {
      session: moved?.leader ?? pid,
      own: ownProcesses(moved),
      mark,
      ...(adopted ? { adopted } : {}),
      ...(tag.reaper === undefined ? {} : { reaper: tag.reaper }),
    };
  }

  /** @param withMain the worker's own process has not been reaped */
  tree(worker: number, withMain: boolean): WorkerTree | undefined {
    const pid = this.#o.find(worker)?.pid;
    const signs = this.signs(worker);
    if (pid === undefined || signs === undefined) return undefined;
    const { keeperPid, knownPids } = this.#o.world;
    const main = withMain ? { mainPid: pid } : {};
    return new WorkerTree(() => {
      const except = knownPids();
      except.delete(pid);
      return { ...main, ...signs, keeperPid, except };
    });
  }

  /** Of its whole tree. */
  pids(worker: number): readonly number[] {
    const members = this.tree(worker, true)?.members() ?? [];
    closeMembers(members);
    return members.map(({ pid }) => pid);
  }

  kill(worker: number, withMain: boolean): void {
    const tree = this.tree(worker, withMain);
    // The keeper reaches also one that has not executed yet and whose pid nobody has told us.
    if (tree === undefined) return this.#o.signals.send(worker, SIGKILL, "kill");
    this.#kill(tree).catch((error: Error) => complain(this.#o, `kill: ${error.message}`, error));
  }

  /** Of one whose own process was reaped: the rest gets the signal. `gone` is called once a look finds nothing of it, perhaps at once. */
  sweep(worker: number, signal: string, gone: () => void): void {
    const tree = this.tree(worker, false);
    if (tree === undefined || tree.isEmpty()) return gone();
    const { setup, world } = this.#o;
    world.log.warn(`worker ${worker} of ${setup().config.name} left processes behind: ${signal} to them`);
    const number = signalNumber(signal) ?? SIGKILL;
    const swept = number === SIGKILL ? this.#kill(tree) : tree.tell(number);
    swept.then(gone, (error: Error) => complain(this.#o, `sweep: ${error.message}`, error));
  }

  async #kill(tree: WorkerTree): Promise<void> {
    const { refused } = await tree.kill();
    if (refused.length > 0) complain(this.#o, `not permitted to kill its processes ${refused.join(", ")}`);
  }
}
