import { watchedIn } from "../epoll-set.js";
import type { Inode } from "../inode.js";
import { readProc, readStat } from "../process-stat.js";
import { holdsSocket, waitingCalls } from "../waiting-thread.js";
import { type EpollRegistration, isIdle } from "./epoll-registration.js";

/** A shared socket that the keeper holds. */
export interface HeldSocket {
  readonly key: string;
  readonly index: number;
  readonly inode: Inode;
}

/** A thread that waits for a socket in a call that nobody can take it out of. */
export interface Blocking {
  readonly pid: number;
  /** The name of the program, comm in proc_pid_comm(5). */
  readonly program: string;
  /** `accept`, `poll`, … */
  readonly call: string;
}

/** How the processes of a worker wait for its sockets at one moment. */
export interface Valve {
  /** Idle ones as well: a one-shot that its program is going to arm again, and what has been quiesced already. */
  readonly registrations: readonly EpollRegistration[];
  readonly blocking: readonly Blocking[];
  /** Processes whose descriptors may not be looked at, or which have a socket and whose threads may not be looked at. */
  readonly notPermitted: readonly number[];
}

/**
 * Looks at every process of a worker's tree. Costs a readlink for each of their descriptors and a read for each thread.
 *
 * A thread that is busy at this moment and will call accept(2) later does not show, and neither does one that waits through io_uring: no
 * registration and nobody blocking means that it is not known how the worker gets its connections.
 */
export function findValve(pids: readonly number[], sockets: readonly HeldSocket[]): Valve {
  const registrations: EpollRegistration[] = [];
  const blocking: Blocking[] = [];
  const notPermitted: number[] = [];
  for (const pid of pids) {
    const seen = look(pid, sockets);
    if (seen === "not-permitted") {
      notPermitted.push(pid);
      continue;
    }
    registrations.push(...seen.registrations);
    blocking.push(...seen.blocking);
  }
  return { registrations, blocking, notPermitted };
}

/**
 * Looks again after the valve was closed: what can wake a process all the same, because the program has added its socket to an epoll set, or has armed it
 * again. To be noted (`noteAlso`) and quiesced.
 */
export function rearmed(pids: readonly number[], sockets: readonly HeldSocket[]): EpollRegistration[] {
  return pids.flatMap((pid) => {
    const found = ifPermitted(() => registrationsOf(pid, sockets));
    return found === "not-permitted" ? [] : found.filter((registration) => !isIdle(registration));
  });
}

/** The registrations of one process. @throws EACCES, EPERM */
export function registrationsOf(pid: number, sockets: readonly HeldSocket[]): EpollRegistration[] {
  const startTicks = readStat(pid)?.startTicks;
  if (startTicks === undefined) return [];
  const inodes = sockets.map(({ inode }) => inode);
  return watchedIn(pid, inodes).map(({ epollFd, fd, events, data, of }) => {
    const { key, index } = sockets[of]!;
    const hex = data.toString(16).padStart(16, "0");
    return { pid, startTicks: String(startTicks), epollFd, fd, events, data: hex, socket: { key, index } };
  });
}

function look(
  pid: number,
  sockets: readonly HeldSocket[],
): { readonly registrations: EpollRegistration[]; readonly blocking: Blocking[] } | "not-permitted" {
  const registrations = ifPermitted(() => registrationsOf(pid, sockets));
  if (registrations === "not-permitted") return registrations;
  const inodes = sockets.map(({ inode }) => inode);
  const calls = ifPermitted(() => waitingCalls(pid, inodes));
  if (calls !== "not-permitted") {
    const program = readProc(`/proc/${pid}/comm`)?.trimEnd() ?? "";
    return { registrations, blocking: calls.map((call) => ({ pid, program, call })) };
  }
  // Yama hides the threads from us, who are no ancestor. Who waits in epoll is taken to wait in no other way; who has no socket waits for none.
  if (registrations.length > 0 || !holdsSocket(pid, inodes)) return { registrations, blocking: [] };
  return "not-permitted";
}

export function ifPermitted<T>(read: () => T): T | "not-permitted" {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return "not-permitted";
    throw error;
  }
}
