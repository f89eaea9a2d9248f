import { copyBytes } from "./log-block.js";

/** Bytes. A longer line is cut into pieces of this size; also the most that is kept of a line whose end has not come. */
export const MAX_LINE_BYTES = 64 * 1024;

const NEWLINE = 0x0a;

/**
 * Turns what was read from a pipe into whole lines.
 *
 * The bytes that come out, one after the other, are exactly the bytes that went in. Each result ends with a newline, except
 * the pieces of a line longer than MAX_LINE_BYTES (cut between UTF-8 characters) and what `end` gives.
 */
export class LineAssembler {
  #tail: Buffer[] = [];
  #tailBytes = 0;

  /** Bytes of a line whose end has not come yet. */
  get pendingBytes(): number {
    return this.#tailBytes;
  }

  /** `chunk` stays the caller's and may be overwritten afterwards; the results have memory of their own. */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    for (let start = 0; start < chunk.length; start += MAX_LINE_BYTES) {
      this.#take(chunk.subarray(start, start + MAX_LINE_BYTES), out);
    }
    return out;
  }

  /** What is left of a line without a newline; the assembler is empty afterwards. */
  end(): Buffer | undefined {
    if (this.#tailBytes === 0) return undefined;
    const rest = copyBytes(...this.#tail);
    this.#clear();
    return rest;
  }

  #take(chunk: Buffer, out: Buffer[]): void {
    const first = chunk.indexOf(NEWLINE);
    if (this.#tailBytes + (first < 0 ? chunk.length : first) > MAX_LINE_BYTES) {
      const all = copyBytes(...this.#tail, chunk);
      const cut = characterBoundary(all, MAX_LINE_BYTES);
      this.#clear();
      out.push(all.subarray(0, cut), ...this.push(all.subarray(cut)));
      return;
    }
    if (first < 0) {
      this.#keep(chunk);
      return;
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    out.push(copyBytes(...this.#tail, chunk.subarray(0, end)));
    this.#clear();
    if (end < chunk.length) this.#keep(chunk.subarray(end));
  }

  #keep(bytes: Buffer): void {
    this.#tailBytes += bytes.length;
    // A writer of single bytes would otherwise make one buffer for each byte of the line.
    const last = this.#tail.at(-1);
    if (last !== undefined && last.length + bytes.length <= 4096)
      this.#tail[this.#tail.length - 1] = copyBytes(last, bytes);
    else this.#tail.push(copyBytes(bytes));
  }

  #clear(): void {
    this.#tail = [];
    this.#tailBytes = 0;
  }
}

/** The largest offset up to `limit` that does not split a UTF-8 character; `limit` itself where the bytes are not UTF-8. */
function characterBoundary(bytes: Buffer, limit: number): number {
  for (let offset = limit; offset > limit - 4; offset--) {
    const byte = bytes[offset];
    if (byte === undefined || (byte & 0xc0) !== 0x80) return offset;
  }
  return limit;
}
