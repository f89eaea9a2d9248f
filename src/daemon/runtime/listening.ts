/**
 * Whether a worker waits for its sockets, as the kernel shows it: no help of the program is needed.
 *
 * A process waits for a socket if the socket is in one of its epoll sets (proc_pid_fdinfo(5), lines `tfd: … ino:`), or if
 * one of its threads sits in accept, recv, read, poll or select on it (proc_pid_syscall(5)). Programs that wait through io_uring do not show.
 */
import { closeSync, openSync, readlinkSync, readSync, statSync } from "node:fs";
import { childrenOf, listProc, readProc } from "./process-stat.js";

/** A socket or fifo, as fstat(2) names it. */
export interface Inode {
  readonly dev: bigint;
  readonly ino: bigint;
}

export type Waiting = "yes" | "no" | "not-permitted";

/** Of one tree at one look; more processes than this do not come between a start and the first accept. */
const MAX_PROCESSES = 256;
const MAX_POLLED = 4096;

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
    const watched = new Watched(pid, sockets);
    return watched.byEpoll() || watched.byThread() ? "yes" : "no";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return "not-permitted";
    if (code === "ENOENT" || code === "ESRCH") return "no"; // It ended while we looked.
    throw error;
  }
}

/** One look at one process. */
class Watched {
  readonly #pid: number;
  readonly #sockets: readonly Inode[];

  constructor(pid: number, sockets: readonly Inode[]) {
    this.#pid = pid;
    this.#sockets = sockets;
  }

  byEpoll(): boolean {
    return listProc(`/proc/${this.#pid}/fd`).some((fd) => {
      if (this.#link(fd) !== "anon_inode:[eventpoll]") return false;
      const info = readProc(`/proc/${this.#pid}/fdinfo/${fd}`) ?? "";
      return [...info.matchAll(/^tfd:\s*\d+.*\bino:([0-9a-f]+)/gm)].some((match) => {
        const ino = BigInt(`0x${match[1]}`);
        return this.#sockets.some((socket) => socket.ino === ino);
      });
    });
  }

  byThread(): boolean {
    return listProc(`/proc/${this.#pid}/task`).some((thread) => {
      const words = (readProc(`/proc/${this.#pid}/task/${thread}/syscall`) ?? "").trim().split(" ");
      const call = SYSTEM_CALLS[process.arch]?.[Number(words[0])];
      if (call === undefined) return false; // "running", or in a call that waits for nothing of ours.
      const [first = 0n, second = 0n] = words.slice(1).map((word) => BigInt(word));
      switch (call) {
        case "on-descriptor":
          return this.#isOurs(Number(BigInt.asIntN(32, first)));
        case "poll":
          return this.#polled(first, Number(second)).some((fd) => this.#isOurs(fd));
        case "select":
          return this.#selected(Number(first), second).some((fd) => this.#isOurs(fd));
        default:
          return false;
      }
    });
  }

  #isOurs(fd: number): boolean {
    try {
      const { dev, ino } = statSync(`/proc/${this.#pid}/fd/${fd}`, { bigint: true });
      return this.#sockets.some((socket) => socket.ino === ino && socket.dev === dev);
    } catch {
      return false; // It was closed in the meantime.
    }
  }

  /** The descriptors of an array of `struct pollfd`: int fd, short events, short revents. */
  #polled(address: bigint, count: number): number[] {
    const bytes = this.#memory(address, Math.min(count, MAX_POLLED) * 8);
    return Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readInt32LE(index * 8));
  }

  /** The descriptors in an fd_set, of which `count` bits are looked at. */
  #selected(count: number, address: bigint): number[] {
    if (address === 0n) return [];
    // The kernel reads whole longs of 64 bits.
    const bytes = this.#memory(address, Math.ceil(Math.min(count, MAX_POLLED) / 64) * 8);
    const bits = Array.from({ length: Math.min(count, bytes.length * 8) }, (_, fd) => fd);
    return bits.filter((fd) => ((bytes[fd >> 3]! >> (fd & 7)) & 1) === 1);
  }

  /** Whole structures only; less than asked for where the memory ends. */
  #memory(address: bigint, length: number): Buffer {
    const memory = openSync(`/proc/${this.#pid}/mem`, "r");
    try {
      const bytes = Buffer.alloc(length);
      const count = readSync(memory, bytes, 0, length, address);
      return bytes.subarray(0, count - (count % 8));
    } catch {
      return Buffer.alloc(0); // The thread has returned from the call, and its stack is something else now.
    } finally {
      closeSync(memory);
    }
  }

  #link(fd: string): string | undefined {
    try {
      return readlinkSync(`/proc/${this.#pid}/fd/${fd}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // Closed in the meantime.
      throw error;
    }
  }
}

type Call = "on-descriptor" | "poll" | "select";

/** Numbers of the calls that wait, as /proc shows them (asm/unistd.h): their first argument is a descriptor, or they have a list of them. */
const SYSTEM_CALLS: Readonly<Record<string, Readonly<Record<number, Call>>>> = {
  x64: {
    0: "on-descriptor", // read
    7: "poll",
    23: "select",
    43: "on-descriptor", // accept
    45: "on-descriptor", // recvfrom
    47: "on-descriptor", // recvmsg
    270: "select", // pselect6
    271: "poll", // ppoll
    288: "on-descriptor", // accept4
    299: "on-descriptor", // recvmmsg
  },
  arm64: {
    63: "on-descriptor", // read
    72: "select", // pselect6
    73: "poll", // ppoll
    202: "on-descriptor", // accept
    207: "on-descriptor", // recvfrom
    212: "on-descriptor", // recvmsg
    242: "on-descriptor", // accept4
    243: "on-descriptor", // recvmmsg
  },
};
