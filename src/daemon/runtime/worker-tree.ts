import { FdWatcher } from "../../ancillary/index.js";
import { closeMembers, findTree, type TreeMember, type TreeQuery, treeIsEmpty } from "./process-tree.js";
import { signalMembers, type TreeKill, TreeKiller } from "./tree-killer.js";

/** A worker and all that descends from it, seen from outside; and how they are ended. */
export class WorkerTree {
  readonly #query: () => TreeQuery;

  /** @param query made anew for each look, because other workers come and go */
  constructor(query: () => TreeQuery) {
    this.#query = query;
  }

  /** Those that are alive at this moment; their pidfds are the caller's. */
  members(): TreeMember[] {
    return findTree(this.#query());
  }

  /** Nothing of the tree is alive at this moment. */
  isEmpty(): boolean {
    return treeIsEmpty(this.#query());
  }

  /** Sends it to each process that a look finds. Returns how many got it. */
  signal(signal: number): number {
    const members = this.members();
    const refused = signalMembers(members, signal);
    closeMembers(members);
    return members.length - refused.length;
  }

  /** SIGKILL until a look finds nothing. */
  kill(): Promise<TreeKill> {
    return new TreeKiller(() => findTree(this.#query())).run();
  }

  /**
   * Sends the signal once to each process of the tree, also to what appears later, and resolves when a look finds nothing.
   * It never gives up: what ignores the signal is waited for, until somebody calls `kill`.
   */
  async tell(signal: number): Promise<void> {
    const told = new Set<string>();
    for (;;) {
      const members = findTree(this.#query());
      if (members.length === 0) return;
      try {
        const news = members.filter(({ pid, startTicks }) => !told.has(`${pid} ${startTicks}`));
        for (const { pid, startTicks } of news) told.add(`${pid} ${startTicks}`);
        signalMembers(news, signal);
        await anyEnded(members);
      } finally {
        closeMembers(members);
      }
    }
  }
}

/** Resolves when the first of them ends: then the tree looks different, and it is time to look again. */
function anyEnded(members: readonly TreeMember[]): Promise<void> {
  return new Promise((resolve) => {
    const watchers = members.map(
      ({ pidfd }) =>
        new FdWatcher(pidfd, () => {
          for (const watcher of watchers) watcher.close();
          resolve();
        }),
    );
    for (const watcher of watchers) watcher.watch({ readable: true, writable: false });
  });
}
