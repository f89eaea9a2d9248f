import { FdWatcher, sendSignal } from "../../ancillary/index.js";
import { closeMembers, findTree, type TreeMember, type TreeQuery } from "./process-tree.js";

/**
 * What a worker and all that descends from it are, seen from outside; and how they are ended.
 *
 * Waiting is by pidfd, which becomes readable when its process ends, also for a process that is not our child.
 */
export class WorkerTree {
  readonly #query: () => TreeQuery;

  constructor(query: () => TreeQuery) {
    this.#query = query;
  }

  /** Nothing of the tree is alive at this moment. */
  isEmpty(): boolean {
    const members = findTree(this.#query());
    closeMembers(members);
    return members.length === 0;
  }

  /**
   * Sends the signal once to everything of the tree, also to what appears later, and resolves when a look finds nothing.
   * It never gives up: a process that ignores the signal is waited for, until somebody sends SIGKILL.
   */
  async end(signal: number): Promise<void> {
    const told = new Set<string>();
    for (;;) {
      const members = findTree(this.#query());
      if (members.length === 0) return;
      try {
        for (const member of members) {
          const name = `${member.pid} ${member.startTicks}`;
          if (told.has(name)) continue;
          told.add(name);
          deliver(member, signal);
        }
        await anyEnded(members);
      } finally {
        closeMembers(members);
      }
    }
  }
}

function deliver({ pidfd }: TreeMember, signal: number): void {
  try {
    sendSignal(pidfd, signal);
  } catch (error) {
    // It ended in the meantime: what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Resolves when the first of them ends: then the tree looks different, and it is time to look again. */
function anyEnded(members: readonly TreeMember[]): Promise<void> {
  return new Promise((resolve) => {
    const watchers = members.map(({ pidfd }) => {
      const watcher = new FdWatcher(pidfd, () => {
        for (const other of watchers) other.close();
        resolve();
      });
      return watcher;
    });
    for (const watcher of watchers) watcher.watch({ readable: true, writable: false });
  });
}
