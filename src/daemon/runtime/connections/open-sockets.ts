import { openSocketInodes } from "../../../ancillary/index.js";

export interface OpenSockets {
  /** What each process has open; a process that has ended is missing. */
  readonly byPid: ReadonlyMap<number, ReadonlySet<number>>;
  /** Processes whose descriptors may not be read: another user's, or not dumpable. */
  readonly unseen: readonly number[];
}

/**
 * The sockets that these processes have open, by /proc/PID/fd. Not seen: sockets that are only in a message on their way (SCM_RIGHTS), that only io_uring
 * holds, or that only a thread with a descriptor table of its own has.
 */
export function openSocketsOf(pids: readonly number[]): OpenSockets {
  const byPid = new Map<number, ReadonlySet<number>>();
  const unseen: number[] = [];
  for (const pid of pids) {
    const inodes = inodesOf(pid);
    if (inodes === "not-permitted") unseen.push(pid);
    else if (inodes !== undefined) byPid.set(pid, inodes);
  }
  return { byPid, unseen };
}

function inodesOf(pid: number): ReadonlySet<number> | "not-permitted" | undefined {
  try {
    return new Set(openSocketInodes(pid));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return "not-permitted";
    if (code === "ENOENT" || code === "ESRCH") return undefined; // It has ended.
    throw error;
  }
}

/** The first of the processes that has the socket open. "unseen": none that may be looked at, but one of the others may have it. */
export function holderOf(inode: bigint, pids: readonly number[]): number | "unseen" | undefined {
  const { byPid, unseen } = openSocketsOf(pids);
  for (const [pid, inodes] of byPid) if (inodes.has(Number(inode))) return pid;
  return unseen.length > 0 ? "unseen" : undefined;
}
