import { readlinkSync } from "node:fs";
import { FdWatcher } from "./fd-watcher.js";
import { native } from "./native.js";
import { type Fd, numberOf, OwnedFd } from "./owned-fd.js";

/** That the number is open is known: an OwnedFd has it. */
const NEVER_WATCHED: ReadonlySet<string | undefined> = new Set(["EPERM", "EBADF"]);
/** So many are told at once; the rest in the next turn of the event loop. */
const toldAtOnce = 64;

/**
 * Tells when one of many descriptors has hung up or is in error (EPOLLHUP, EPOLLERR), and nothing else: the closed end of a unix socket or pipe, a TCP
 * connection that is over in both directions. Data that waits does not wake it.
 *
 * The descriptors stay the caller's: `delete` before they are closed. It does not keep the process alive.
 */
export class HangUpWatch {
  readonly #set = OwnedFd.adopt(native.makeHangUpSet());
  readonly #watcher: FdWatcher;
  readonly #callbacks = new Map<number, () => void>();
  readonly #told = new Int32Array(toldAtOnce);
  readonly #room = new Uint8Array(this.#told.buffer);

  constructor() {
    this.#watcher = new FdWatcher(this.#set, () => this.#tell());
    this.#watcher.watch({ readable: true, writable: false });
    this.#watcher.unref();
  }

  /**
   * Calls back once, and has forgotten the descriptor by then. False: it is of a kind that never hangs up: a regular file or folder (EPERM of epoll_ctl(2)), one that
   * was opened with O_PATH (EBADF), an epoll set. @throws ENOSPC, ENOMEM
   */
  add(fd: Fd, onHangUp: () => void): boolean {
    const number = numberOf(fd);
    // Sets nest five deep at most, ours is in that of libuv, and libuv ends the process if the kernel refuses it.
    if (isEpollSet(number)) return false;
    try {
      native.watchHangUp(numberOf(this.#set), number);
    } catch (error) {
      if (NEVER_WATCHED.has((error as NodeJS.ErrnoException).code)) return false;
      throw error;
    }
    this.#callbacks.set(number, onHangUp);
    return true;
  }

  /** Harmless for one that is not watched. */
  delete(fd: Fd): void {
    this.#forget(numberOf(fd));
  }

  /** Idempotent. */
  close(): void {
    this.#callbacks.clear();
    this.#watcher.close();
    this.#set.close();
  }

  #tell(): void {
    const count = native.hungUp(numberOf(this.#set), this.#room);
    for (const number of this.#told.slice(0, count)) this.#forget(number)?.();
  }

  #forget(number: number): (() => void) | undefined {
    const callback = this.#callbacks.get(number);
    if (callback === undefined) return undefined;
    this.#callbacks.delete(number);
    native.forgetHangUp(numberOf(this.#set), number);
    return callback;
  }
}

function isEpollSet(number: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${number}`) === "anon_inode:[eventpoll]";
  } catch {
    return false; // Without /proc nobody can tell.
  }
}

/** Whether two descriptors are duplicates: one open file description, kcmp(2). "unknown": the kernel does not tell. */
export function sameFile(one: Fd, other: Fd): boolean | "unknown" {
  try {
    return native.sameFile(numberOf(one), numberOf(other));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOSYS" || code === "EPERM") return "unknown";
    throw error;
  }
}
