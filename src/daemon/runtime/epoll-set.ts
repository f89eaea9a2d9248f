import { readlinkSync } from "node:fs";
import type { Inode } from "./inode.js";
import { listProc, readProc } from "./process-stat.js";

/** One file that an epoll set watches, as proc_pid_fdinfo(5) shows it. */
export interface Watched {
  /** The number of the epoll descriptor in its process. */
  readonly epollFd: number;
  /** The number under which the file was added; another file may have it by now. */
  readonly fd: number;
  /** As the program asked for them, with EPOLLERR and EPOLLHUP, which the kernel adds. */
  readonly events: number;
  /** The program's own 64 bits. */
  readonly data: bigint;
}

/**
 * How a process watches these files in its epoll sets; `of` tells which file, by its place in the list. Sets that were inherited by fork(2) show in
 * every process that has them.
 *
 * @throws EACCES, EPERM: another user's process, or not dumpable. A process that is gone watches nothing.
 */
export function watchedIn(pid: number, files: readonly Inode[]): (Watched & { readonly of: number })[] {
  return listProc(`/proc/${pid}/fd`).flatMap((name) => {
    if (linkOf(pid, name) !== "anon_inode:[eventpoll]") return [];
    const epollFd = Number(name);
    return entriesOf(pid, epollFd).flatMap(({ inode, ...entry }) => {
      const of = files.findIndex((file) => file.ino === inode.ino && kernelDevice(file.dev) === inode.dev);
      return of === -1 ? [] : { epollFd, ...entry, of };
    });
  });
}

const LINE = /^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+) .*\bino:([0-9a-f]+) sdev:([0-9a-f]+)/gm;

/** What is registered in the epoll set at this number; nothing if something else is there, or nothing. @throws EACCES, EPERM */
export function entriesOf(pid: number, epollFd: number) {
  const info = readProc(`/proc/${pid}/fdinfo/${epollFd}`) ?? "";
  return [...info.matchAll(LINE)].map(([, fd, events, data, ino, dev]) => ({
    fd: Number(fd),
    events: Number.parseInt(events!, 16),
    data: BigInt(`0x${data}`),
    inode: { ino: BigInt(`0x${ino}`), dev: BigInt(`0x${dev}`) },
  }));
}

/** fdinfo has the kernel's own device numbers: 20 bits of minor below the major. stat(2) has those of makedev(3). */
function kernelDevice(dev: bigint): bigint {
  const major = ((dev >> 32n) & 0xfffff000n) | ((dev >> 8n) & 0xfffn);
  const minor = ((dev >> 12n) & 0xffffff00n) | (dev & 0xffn);
  return (major << 20n) | minor;
}

function linkOf(pid: number, fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // Closed in the meantime.
    throw error;
  }
}
