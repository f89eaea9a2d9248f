/**
 * Whether a worker waits for its sockets, as the kernel shows it: no help of the program is needed.
 *
 * A process waits for a socket if the socket is in one of its epoll sets (proc_pid_fdinfo(5), lines `tfd: … ino:`), or if
 * one of its threads sits in accept, recv, read, poll or select on it (proc_pid_syscall(5)). Programs that wait through io_uring do not show.
 */
import { watchedIn } from "./epoll-set.js";
import type { Inode } from "./inode.js";
import { childrenOf } from "./process-stat.js";
import { waitingCalls } from "./waiting-thread.js";

export type { Inode } from "./inode.js";

export type Waiting = "yes" | "no" | "not-permitted";

/** Of one tree at one look; more processes than this do not come between a start and the first accept. */
const MAX_PROCESSES = 256;

/** Looks at the process and all its descendants, once. */
export function waitsForSocket(pid: number, sockets: readonly Inode[]): Waiting {
  let result: Waiting = "no";
  const queue = [pid];
  for (let index = 0; index < queue.length && index < MAX_PROCESSES; index += 1) {
    const process = queue[index]!;
    const waiting = processWaits(process, sockets);
    if (waiting === "yes") return "yes";
    if (waiting === "not-permitted") result = waiting;
    queue.push(...childrenOf(process));
  }
  return result;
}

function processWaits(pid: number, sockets: readonly Inode[]): Waiting {
  try {
    return watchedIn(pid, sockets).length > 0 || waitingCalls(pid, sockets).length > 0 ? "yes" : "no";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return "not-permitted";
    if (code === "ENOENT" || code === "ESRCH") return "no"; // It ended while we looked.
    throw error;
  }
}
