import { constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { type BorrowedFd, FdWatcher, OwnedFd, send } from "../../../ancillary/index.js";

/**
 * Writes to a descriptor that is shared with other processes, without blocking the event loop and without changing it for them.
 *
 * O_NONBLOCK belongs to the open file description, which the keeper, the workers and the user's shell share with our stdout; so it is never set there.
 * A pipe or a terminal is opened again through /proc/self/fd, which gives a description of our own; a socket is written with MSG_DONTWAIT;
 * what is left (files, devices, a pipe that may not be opened again) is written by a thread.
 */
export interface OutputStream {
  /** Resolves with the number of bytes taken, at least 1, as soon as there is room for some. Rejects with what write(2) says. One call at a time. */
  write(bytes: Buffer): Promise<number>;
  /** Gives back what was opened; `fd` itself stays open. A write that waits never ends. */
  close(): void;
}

/** `fd` is the number of a descriptor that stays open for as long as the result is used, e.g. 1. */
export function openOutputStream(fd: number): OutputStream {
  const stat = fstatSync(fd);
  if (stat.isSocket()) {
    const socket = OwnedFd.adopt(fd);
    return new PolledStream(
      socket,
      (bytes) => send(socket, { data: bytes }),
      () => void socket.release(),
    );
  }
  if (stat.isFIFO() || stat.isCharacterDevice()) {
    const own = reopen(fd);
    if (own !== undefined)
      return new PolledStream(
        own,
        (bytes) => writeNow(own.borrow(), bytes),
        () => own.close(),
      );
  }
  return { write: (bytes) => writeInThread(fd, bytes), close: () => {} };
}

class PolledStream implements OutputStream {
  readonly #fd: OwnedFd;
  readonly #tryWrite: (bytes: Buffer) => number | "would-block";
  readonly #dispose: () => void;
  #watcher: FdWatcher | undefined;
  #onWritable: (() => void) | undefined;

  constructor(fd: OwnedFd, tryWrite: (bytes: Buffer) => number | "would-block", dispose: () => void) {
    this.#fd = fd;
    this.#tryWrite = tryWrite;
    this.#dispose = dispose;
  }

  async write(bytes: Buffer): Promise<number> {
    for (;;) {
      const written = this.#tryWrite(bytes);
      if (written !== "would-block") return written;
      await this.#writable();
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#dispose();
  }

  #writable(): Promise<void> {
    return new Promise((resolve) => {
      this.#watcher ??= new FdWatcher(this.#fd, () => this.#onWritable?.());
      this.#watcher.unref();
      this.#onWritable = () => {
        this.#watcher?.watch({ readable: false, writable: false });
        resolve();
      };
      this.#watcher.watch({ readable: false, writable: true });
    });
  }
}

/** undefined: this descriptor can't be opened again (another user's pipe, /dev/null and other devices that epoll refuses). */
function reopen(fd: number): OwnedFd | undefined {
  let own: OwnedFd;
  try {
    own = OwnedFd.adopt(
      openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
    );
  } catch {
    return undefined; // A thread does it then: slower, and correct.
  }
  try {
    new FdWatcher(own, () => {}).close();
    return own;
  } catch {
    own.close(); // EPERM: a device without poll never blocks for long.
    return undefined;
  }
}

function writeNow(fd: BorrowedFd, bytes: Buffer): number | "would-block" {
  try {
    return writeSync(fd.number, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return "would-block";
    throw error;
  }
}

function writeInThread(fd: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
}
