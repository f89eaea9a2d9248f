import type { LogBlock, LogOrigin } from "./log-block.js";
import { LogFile } from "./log-file.js";
import type { LogProblem, LogSink } from "./log-sink.js";
import { PendingWrites } from "./pending-writes.js";

export interface Rotation {
  readonly sizeBytes: number;
  /** How many old files stay, `path.1` the newest. */
  readonly keep: number;
}

export interface FileSinkOptions {
  readonly path: string;
  readonly rotate?: Rotation | undefined;
  readonly onProblem: (problem: LogProblem) => void;
  /** Bytes that may wait before reading pauses; 1 MiB. */
  readonly maxQueueBytes?: number;
  /** Between two tries to open or write a file that failed: doubles from `initialMs` (1 s) to `maxMs` (30 s). */
  readonly retry?: { readonly initialMs: number; readonly maxMs: number };
  /** How often it is looked whether the file is still at its path, in milliseconds; 1 s. */
  readonly lookMs?: number;
  /** Nothing is written before this has resolved: the end of whoever wrote the file before. */
  readonly after?: Promise<void> | undefined;
}

const NEWLINE = Buffer.from("\n");
const FILE_MODE = 0o640;

/**
 * Appends raw bytes to one file, for any number of workers.
 *
 * While the file takes them nothing is lost: a full queue pauses the pipes. While it does not (ENOSPC, EIO, a missing folder) the workers
 * must not stop for it: the queue is kept, what comes beyond it is dropped and counted, and the file is opened again with backoff.
 * A file that somebody renamed or removed is opened anew within a second.
 * It rotates before the block that would make it too large, at a line boundary; a single line that is larger than the limit gets a file for itself.
 */
export class FileSink implements LogSink {
  readonly #path: string;
  readonly #onProblem: (problem: LogProblem) => void;
  readonly #maxQueueBytes: number;
  readonly #retry: { readonly initialMs: number; readonly maxMs: number };
  readonly #after: Promise<void> | undefined;
  readonly #lookMs: number;
  readonly #pending = new PendingWrites();
  #rotate: Rotation | undefined;
  #file: LogFile | undefined;
  #lookedAt = 0;
  #dropped = 0;
  #rotations = 0;
  /** Rotation failed at this size; it is tried again when the file has grown by another limit. */
  #rotateFrom = 0;
  #lastOrigin: LogOrigin | undefined;
  #lastEnded = true;
  #failing: { readonly since: number; delayMs: number } | undefined;
  #pumping: Promise<void> | undefined;
  #waiters: (() => void)[] = [];
  /** Who waits until so many bytes, of all that were ever added, are done with. In that order. */
  #written: { readonly added: number; readonly resolve: () => void }[] = [];
  #closing = false;
  #wakeUp: (() => void) | undefined;

  constructor(options: FileSinkOptions) {
    this.#path = options.path;
    this.#rotate = options.rotate;
    this.#after = options.after;
    this.#lookMs = options.lookMs ?? 1000;
    this.#onProblem = options.onProblem;
    this.#maxQueueBytes = options.maxQueueBytes ?? 1024 * 1024;
    this.#retry = options.retry ?? { initialMs: 1000, maxMs: 30_000 };
  }

  get dropped(): number {
    return this.#dropped;
  }

  get rotations(): number {
    return this.#rotations;
  }

  /** Holds from the next write on. */
  setRotation(rotate: Rotation | undefined): void {
    this.#rotate = rotate;
  }

  write(block: LogBlock): boolean {
    if (this.#closing || (this.#failing !== undefined && this.#pending.bytes >= this.#maxQueueBytes)) {
      this.#dropped += block.lineCount;
      return true;
    }
    if (!this.#lastEnded && !sameStream(this.#lastOrigin, block.origin)) this.#pending.add(NEWLINE);
    this.#lastOrigin = block.origin;
    this.#lastEnded = block.endsWithNewline;
    this.#pending.add(block.bytes, block);
    this.#pumping ??= this.#pump();
    return this.#failing !== undefined || this.#pending.bytes < this.#maxQueueBytes;
  }

  onDrain(resume: () => void): void {
    if (this.#pending.bytes < this.#maxQueueBytes) resume();
    else this.#waiters.push(resume);
  }

  written(): Promise<void> {
    if (this.#pending.isEmpty) return Promise.resolve();
    return new Promise((resolve) => this.#written.push({ added: this.#pending.added, resolve }));
  }

  /** Resolves when the queue has been empty once. */
  async flushed(): Promise<void> {
    await this.#pumping;
  }

  /** Writes what waits. If the file refuses it, one last time, that is counted as dropped and told. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wakeUp?.();
    await this.#pumping;
    await this.#closeFile();
  }

  async #pump(): Promise<void> {
    await this.#after;
    while (!this.#pending.isEmpty) {
      try {
        await this.#look();
        this.#file ??= await LogFile.open(this.#path, FILE_MODE);
        await this.#writeSome(this.#file);
        this.#recovered();
      } catch (error) {
        await this.#failed(error);
      }
      if (this.#pending.bytes < this.#maxQueueBytes / 2 || this.#failing !== undefined) this.#drained();
      const done = this.#pending.added - this.#pending.bytes;
      while (this.#written[0] !== undefined && this.#written[0].added <= done) this.#written.shift()?.resolve();
    }
    this.#pumping = undefined;
  }

  async #look(): Promise<void> {
    const now = performance.now();
    if (this.#file === undefined || now - this.#lookedAt < this.#lookMs) return;
    this.#lookedAt = now;
    if (!(await this.#file.isAtItsPath())) await this.#closeFile();
  }

  async #writeSome(file: LogFile): Promise<void> {
    const rotate = file.canRotate ? this.#rotate : undefined;
    const batch =
      rotate === undefined
        ? this.#pending.batch()
        : this.#pending.batchWithin(file.size, Math.max(rotate.sizeBytes, this.#rotateFrom));
    if (batch === "rotate") await this.#rotateFile(file);
    else this.#pending.taken(await file.append(batch));
  }

  async #rotateFile(file: LogFile): Promise<void> {
    const rotate = this.#rotate!;
    try {
      await file.rotate(rotate.keep);
    } catch (cause) {
      this.#rotateFrom = file.size + rotate.sizeBytes;
      this.#tell(
        "log-rotation-failed",
        `cannot rotate ${this.#path}: ${words(cause)}; it grows on and is tried again later`,
        cause,
      );
      return;
    }
    this.#rotations++;
    this.#rotateFrom = 0;
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    // close(2) reports what a network file system could not store; the bytes cannot be given again, so it is told.
    await file
      ?.close()
      .catch((cause) =>
        this.#tell(
          "log-file-failed",
          `closing ${this.#path} failed: ${words(cause)}; its last lines may be missing`,
          cause,
        ),
      );
  }

  async #failed(cause: unknown): Promise<void> {
    if (this.#failing === undefined) {
      this.#failing = { since: this.#dropped, delayMs: this.#retry.initialMs };
      this.#tell(
        "log-file-failed",
        `cannot write ${this.#path}: ${words(cause)}; it is tried again, and lines that do not fit into memory until then are dropped and counted`,
        cause,
      );
    } else {
      this.#failing.delayMs = Math.min(this.#failing.delayMs * 2, this.#retry.maxMs);
    }
    await this.#closeFile();
    if (this.#closing) {
      this.#dropped += this.#pending.discard();
      this.#tell(
        "log-file-failed",
        `gave up writing ${this.#path}: ${words(cause)}; ${this.#dropped - this.#failing.since} lines are lost`,
        cause,
      );
      return;
    }
    this.#drained();
    await this.#pause(this.#failing.delayMs);
  }

  #recovered(): void {
    if (this.#failing === undefined) return;
    const lost = this.#dropped - this.#failing.since;
    this.#failing = undefined;
    this.#tell("log-file-recovered", `${this.#path} is written again; ${lost} lines were dropped meanwhile`);
  }

  #drained(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resume of waiters) resume();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #tell(code: LogProblem["code"], message: string, cause?: unknown): void {
    this.#onProblem({
      code,
      message,
      path: this.#path,
      dropped: this.#dropped,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

function sameStream(a: LogOrigin | undefined, b: LogOrigin): boolean {
  return a?.worker === b.worker && a.stream === b.stream && a.instance === b.instance && a.service === b.service;
}

function words(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
