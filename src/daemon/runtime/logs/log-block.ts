import type { LogLine } from "../../control/api.js";

/** Who wrote: one stream of one worker. */
export interface LogOrigin {
  readonly service: string;
  readonly instance: string;
  readonly worker: number;
  readonly stream: LogLine["stream"];
}

/** Some lines that came together; what a ring keeps. Their text is made only when somebody looks. */
export interface LogEntry {
  readonly lineCount: number;
  /** What it costs in memory, in bytes. */
  readonly byteCount: number;
  lines(): readonly LogLine[];
}

const NEWLINE = 0x0a;

/**
 * Whole lines of one stream, as raw bytes that are never changed afterwards.
 *
 * The file path uses `bytes` as they are; `lines` and `lineCount` cost a pass over the bytes and are computed when they are
 * first asked for. A block that does not end with a newline is a piece of a line that was too long, or the last line of a worker.
 */
export class LogBlock implements LogEntry {
  readonly origin: LogOrigin;
  /** When it was read, ISO 8601 in UTC. */
  readonly at: string;
  readonly bytes: Buffer;
  #lineCount: number | undefined;

  constructor(origin: LogOrigin, at: string, bytes: Buffer) {
    this.origin = origin;
    this.at = at;
    this.bytes = bytes;
  }

  get byteCount(): number {
    return this.bytes.length;
  }

  get endsWithNewline(): boolean {
    return this.bytes[this.bytes.length - 1] === NEWLINE;
  }

  get lineCount(): number {
    this.#lineCount ??= countLines(this.bytes);
    return this.#lineCount;
  }

  /** The lines in order; bytes that are not UTF-8 become U+FFFD. A new array each time. */
  lines(): LogLine[] {
    const lines: LogLine[] = [];
    let start = 0;
    while (start < this.bytes.length) {
      const newline = this.bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? this.bytes.length : newline;
      lines.push({ at: this.at, ...this.origin, text: this.bytes.toString("utf8", start, end) });
      start = end + 1;
    }
    return lines;
  }

  /** The last lines of this block that fit into `maxBytes`, as a copy that does not keep this block's memory alive. */
  newest(maxBytes: number): LogBlock {
    if (this.bytes.length <= maxBytes) return this;
    const earliest = this.bytes.length - maxBytes;
    const newline = this.bytes.indexOf(NEWLINE, earliest - 1);
    const from = newline < 0 || newline + 1 >= this.bytes.length ? earliest : newline + 1;
    return new LogBlock(this.origin, this.at, copyBytes(this.bytes.subarray(from)));
  }
}

/** A copy with memory of its own: a slice of Node's shared pool would keep the whole pool alive for as long as a ring keeps the line. */
export function copyBytes(...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const copy = Buffer.allocUnsafeSlow(length);
  let offset = 0;
  for (const part of parts) {
    copy.set(part, offset);
    offset += part.length;
  }
  return copy;
}

// A loop, because a call of indexOf for each line costs more than the bytes of a usual line.
function countLines(bytes: Buffer): number {
  let count = 0;
  for (let index = 0; index < bytes.length; index++) if (bytes[index] === NEWLINE) count++;
  return bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE ? count + 1 : count;
}
