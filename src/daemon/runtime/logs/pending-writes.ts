import type { LogBlock } from "./log-block.js";

interface Pending {
  readonly bytes: Buffer;
  /** Missing for a newline that separates two writers. */
  readonly block?: LogBlock;
}

/** writev(2) takes at most 1024 buffers. */
const MAX_BATCH = 1024;
const NEWLINE = 0x0a;

/** Bytes on their way into a file, in order, and where the file may be cut. */
export class PendingWrites {
  #queue: Pending[] = [];
  #bytes = 0;
  #added = 0;
  #atLineStart = true;

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that were ever added. */
  get added(): number {
    return this.#added;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  add(bytes: Buffer, block?: LogBlock): void {
    this.#queue.push(block === undefined ? { bytes } : { bytes, block });
    this.#bytes += bytes.length;
    this.#added += bytes.length;
  }

  /** Everything, as far as one writev(2) goes. Not empty unless the queue is. */
  batch(): Buffer[] {
    return this.#queue.slice(0, MAX_BATCH).map((item) => item.bytes);
  }

  /** What fits into a file of `size` bytes that may have `limit`, cut at a line; "rotate" if the next line belongs into a new file. */
  batchWithin(size: number, limit: number): Buffer[] | "rotate" {
    let room = limit - size;
    const batch: Buffer[] = [];
    for (const { bytes } of this.#queue) {
      if (bytes.length > room || batch.length === MAX_BATCH) break;
      batch.push(bytes);
      room -= bytes.length;
    }
    if (batch.length > 0) return batch;
    const head = this.#queue[0]!.bytes;
    const lastEnd = room > 0 ? head.lastIndexOf(NEWLINE, room - 1) : -1;
    if (lastEnd >= 0) return [head.subarray(0, lastEnd + 1)];
    const nextEnd = head.indexOf(NEWLINE);
    // In the middle of a line whose end is near the file is overrun to that end; bytes without any newline are cut anywhere.
    if (size > 0 && (this.#atLineStart || (room <= 0 && nextEnd < 0))) return "rotate";
    return [nextEnd < 0 ? head : head.subarray(0, nextEnd + 1)];
  }

  /** The file took the first `count` bytes. */
  taken(count: number): void {
    this.#bytes -= count;
    let left = count;
    while (left > 0) {
      const head = this.#queue[0]!;
      const used = Math.min(left, head.bytes.length);
      this.#atLineStart = head.bytes[used - 1] === NEWLINE;
      if (used === head.bytes.length) this.#queue.shift();
      else this.#queue[0] = { ...head, bytes: head.bytes.subarray(used) };
      left -= used;
    }
  }

  /** Forgets everything; returns how many lines that were, one of which may have been written in part. */
  discard(): number {
    let lines = 0;
    for (const { block } of this.#queue) lines += block?.lineCount ?? 0;
    this.#queue = [];
    this.#bytes = 0;
    return lines;
  }
}
