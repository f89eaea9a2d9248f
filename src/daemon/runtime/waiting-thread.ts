/**
 * Which threads of a process sit in a call that waits for a socket, as proc_pid_syscall(5) shows them: accept, recv, read, poll or select.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Inode } from "./inode.js";
import { listProc, readProc } from "./process-stat.js";

const MAX_POLLED = 4096;

/**
 * The names of the calls in which threads of the process wait for one of the sockets at this moment.
 *
 * @throws EACCES, EPERM: it needs the rights of a tracer, and Yama gives those to ancestors only. A process that is gone waits for nothing.
 */
export function waitingCalls(pid: number, sockets: readonly Inode[]): string[] {
  const threads = new Threads(pid, sockets);
  return listProc(`/proc/${pid}/task`).flatMap((thread) => threads.waitingCall(thread) ?? []);
}

/** Some descriptor of the process is one of the sockets. Its other threads and processes may use it. */
export function holdsSocket(pid: number, sockets: readonly Inode[]): boolean {
  const threads = new Threads(pid, sockets);
  return listProc(`/proc/${pid}/fd`).some((fd) => threads.isOurs(Number(fd)));
}

class Threads {
  readonly #pid: number;
  readonly #sockets: readonly Inode[];

  constructor(pid: number, sockets: readonly Inode[]) {
    this.#pid = pid;
    this.#sockets = sockets;
  }

  waitingCall(thread: string): string | undefined {
    const words = (readProc(`/proc/${this.#pid}/task/${thread}/syscall`) ?? "").trim().split(" ");
    const call = SYSTEM_CALLS[process.arch]?.[Number(words[0])];
    if (call === undefined) return undefined; // "running", or in a call that waits for nothing of ours.
    const [first = 0n, second = 0n] = words.slice(1).map((word) => BigInt(word));
    return this.#waitedFor(call, first, second).some((fd) => this.isOurs(fd)) ? call : undefined;
  }

  #waitedFor(call: string, first: bigint, second: bigint): readonly number[] {
    switch (call) {
      case "poll":
      case "ppoll":
        return this.#polled(first, Number(second));
      case "select":
      case "pselect6":
        return this.#selected(Number(first), second);
      default: // Their first argument is the descriptor.
        return [Number(BigInt.asIntN(32, first))];
    }
  }

  isOurs(fd: number): boolean {
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
    const memory = openMemory(this.#pid);
    if (memory === undefined) return Buffer.alloc(0);
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
}

/** undefined: the process is gone. @throws EACCES, EPERM */
function openMemory(pid: number): number | undefined {
  try {
    return openSync(`/proc/${pid}/mem`, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/** Numbers of the calls that wait, as /proc shows them (asm/unistd.h). */
const SYSTEM_CALLS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  x64: {
    0: "read",
    7: "poll",
    23: "select",
    43: "accept",
    45: "recvfrom",
    47: "recvmsg",
    270: "pselect6",
    271: "ppoll",
    288: "accept4",
    299: "recvmmsg",
  },
  arm64: {
    63: "read",
    72: "pselect6",
    73: "ppoll",
    202: "accept",
    207: "recvfrom",
    212: "recvmsg",
    242: "accept4",
    243: "recvmmsg",
  },
};
