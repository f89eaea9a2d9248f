import { readSync } from "node:fs";
import { FdWatcher, type OwnedFd, setNonblocking } from "../../../ancillary/index.js";

const READ_BYTES = 64 * 1024;
/** So that one busy pipe does not keep the event loop from the others. */
const READS_PER_TURN = 4;

/** Reading is synchronous and the bytes are copied before the next read, so that one buffer serves every pipe. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * Reads one pipe as data comes. The descriptor is owned from the constructor on and set to O_NONBLOCK; the write end has a
 * description of its own and stays blocking.
 */
export class PipeReader {
  readonly #fd: OwnedFd;
  readonly #watcher: FdWatcher;
  readonly #onChunk: (chunk: Buffer) => void;
  readonly #onEnd: (error: Error | undefined) => void;
  #paused = false;
  #ended = false;

  /** `onChunk`: the bytes are valid during the call only. `onEnd`: once, at end of file or at an error of read(2); not after `close`. */
  constructor(fd: OwnedFd, onChunk: (chunk: Buffer) => void, onEnd: (error: Error | undefined) => void) {
    this.#fd = fd;
    this.#onChunk = onChunk;
    this.#onEnd = onEnd;
    setNonblocking(fd, true);
    this.#watcher = new FdWatcher(fd, () => this.#readSome());
    this.#watcher.watch({ readable: true, writable: false });
  }

  get ended(): boolean {
    return this.#ended;
  }

  duplicate(): OwnedFd {
    return this.#fd.duplicate();
  }

  pause(): void {
    if (this.#ended || this.#paused) return;
    this.#paused = true;
    this.#watcher.watch({ readable: false, writable: false });
  }

  resume(): void {
    if (this.#ended || !this.#paused) return;
    this.#paused = false;
    this.#watcher.watch({ readable: true, writable: false });
  }

  /** Reads what is in the pipe now, paused or not, at most `maxBytes` (a process that goes on writing must not hold us), without waiting. */
  takeRest(maxBytes: number): void {
    let left = maxBytes;
    while (left > 0 && !this.#ended) {
      const taken = this.#read();
      if (taken === 0) return;
      left -= taken;
    }
  }

  close(): void {
    if (this.#fd.closed) return;
    this.#ended = true;
    this.#watcher.close();
    this.#fd.close();
  }

  #readSome(): void {
    for (let reads = 0; reads < READS_PER_TURN && !this.#paused && !this.#ended; reads++) {
      if (this.#read() < READ_BYTES) return;
    }
  }

  /** Bytes read; 0 when there is nothing now, or nothing any more. */
  #read(): number {
    let count: number;
    try {
      count = readSync(this.#fd.borrow().number, readBuffer, 0, READ_BYTES, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      this.#end(error as Error);
      return 0;
    }
    if (count === 0) this.#end(undefined);
    else this.#onChunk(readBuffer.subarray(0, count));
    return count;
  }

  #end(error: Error | undefined): void {
    this.close();
    this.#onEnd(error);
  }
}
