import { closeSync, constants, openSync, readSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { WorkerState } from "../../lifecycle/worker.js";
import type { ChildRecord } from "../keeper/records.js";

export interface PidFilesInput {
  /** undefined: the service has none. */
  readonly path: () => string | undefined;
  readonly phase: (worker: number) => WorkerState["phase"] | undefined;
  readonly treeIsEmpty: (worker: number) => boolean;
  /** Lets the worker go on with the process of that number. Resolves with why not, in words; undefined: it does. */
  readonly follow: (worker: number, pid: number) => Promise<string | undefined>;
  /** Why the file names no process that it could go on as, in words; undefined: it does. What was said before is forgotten. */
  readonly remark: (worker: number, words: string | undefined) => void;
  /** It ended after all. */
  readonly ended: (worker: number, record: ChildRecord) => void;
}

/** Nothing tells when a file is written whole, so it is looked at again, with growing pauses. */
const FIRST_LOOK_MS = 4;
const LONGEST_LOOK_MS = 64;
/** A number, white space around it. */
const MOST_BYTES = 32;

/**
 * Programs that go into the background and name the process that they go on as in a file. The end of a main process is the worker's only if the file does
 * not name another one: while it starts, and its first process has ended with 0, that is waited for; once it is ready, the file was to be written before.
 */
export class PidFiles {
  readonly #o: PidFilesInput;
  readonly #looking = new Set<number>();
  #closed = false;

  constructor(input: PidFilesInput) {
    this.#o = input;
  }

  /** Whether this end is perhaps not the worker's. If it is, `ended` tells later. */
  holds(worker: number, record: ChildRecord): boolean {
    const path = this.#o.path();
    if (path === undefined || record.state !== "exited") return false;
    if (this.#looking.has(worker)) return true;
    const phase = this.#o.phase(worker);
    const waits = phase === "warming" && record.status === 0;
    if (!waits && phase !== "ready") return false;
    this.#looking.add(worker);
    void this.#look(worker, record, { path, waits });
    return true;
  }

  close(): void {
    this.#closed = true;
  }

  async #look(
    worker: number,
    record: ChildRecord,
    { path, waits }: { readonly path: string; readonly waits: boolean },
  ): Promise<void> {
    for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_LOOK_MS)) {
      // In this order: one that is not to be seen any more has written its file before.
      const isLast = !waits || this.#o.treeIsEmpty(worker);
      const named = readPidFile(path);
      const refused = await this.#refused(worker, named, record);
      if (this.#closed) return;
      if (waits) this.#o.remark(worker, refused && `pid_file ${path} ${refused}`);
      if (refused === undefined) break;
      if (isLast || this.#o.phase(worker) !== "warming") {
        this.#looking.delete(worker);
        return this.#o.ended(worker, record);
      }
      await pause(pauseMs, undefined, { ref: false });
      if (this.#closed) return;
    }
    this.#looking.delete(worker);
  }

  /** To be put after the name of the file. */
  async #refused(worker: number, named: number | string, { pid }: ChildRecord): Promise<string | undefined> {
    if (typeof named === "string") return named;
    if (named === pid) return `names the process that was started (pid ${pid}), which has ended`;
    const why = await this.#o.follow(worker, named);
    return why && `names the process ${named}, which ${why}`;
  }
}

/** Or why not, to be put after the name of the file. Does not wait, whatever the file is. */
function readPidFile(path: string): number | string {
  const bytes = Buffer.alloc(MOST_BYTES);
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const text = bytes.toString("latin1", 0, readSync(fd, bytes));
      const found = /^\s*(\d{1,9})\s*$/.exec(text)?.[1];
      return found === undefined || Number(found) < 1 ? "holds no number of a process" : Number(found);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "was not written" : `cannot be read (${code})`;
  }
}
