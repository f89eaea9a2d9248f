import type { LogLine } from "../../control/api.js";
import { LogBlock, type LogEntry } from "./log-block.js";

/** What may wait for one follower between two turns of the event loop. */
const FOLLOWER_MAX_BYTES = 4 * 1024 * 1024;

/**
 * The last lines of one service, bounded in lines and bytes.
 *
 * Blocks go in as raw bytes and become text only when somebody looks, so a worker that logs without end costs a copy and a count.
 */
export class LogRing {
  readonly #maxLines: number;
  readonly #maxBytes: number;
  readonly #entries: LogEntry[] = [];
  readonly #followers = new Set<Follower>();
  #lines = 0;
  #bytes = 0;
  #appended = 0;

  constructor(bounds: { readonly maxLines: number; readonly maxBytes: number }) {
    this.#maxLines = bounds.maxLines;
    this.#maxBytes = bounds.maxBytes;
  }

  /** Lines that were appended and that `last` cannot give any more, because newer ones took their place. */
  get dropped(): number {
    return this.#appended - Math.min(this.#lines, this.#maxLines);
  }

  append(line: LogLine): void {
    this.#add({ lineCount: 1, byteCount: Buffer.byteLength(line.text) + 1, lines: () => [line] });
  }

  appendBlock(block: LogBlock): void {
    this.#add(block);
  }

  /** At most `count` lines, oldest first. */
  last(count: number): LogLine[] {
    const wanted = Math.min(count, this.#maxLines);
    const newestFirst: (readonly LogLine[])[] = [];
    let found = 0;
    for (let index = this.#entries.length - 1; index >= 0 && found < wanted; index--) {
      const lines = this.#entries[index]!.lines();
      newestFirst.push(lines.slice(Math.max(0, lines.length - (wanted - found))));
      found += newestFirst.at(-1)!.length;
    }
    return newestFirst.reverse().flat();
  }

  /**
   * Calls `take` for each new line, in order, in a turn of the event loop of its own, until the returned function is called.
   * A follower whose lines come faster than they can be delivered loses the newest ones; `onDropped` is told how many, at the place where they are missing.
   */
  follow(take: (line: LogLine) => void, onDropped: (count: number) => void = () => {}): () => void {
    const follower = new Follower(take, onDropped);
    this.#followers.add(follower);
    return () => {
      follower.stop();
      this.#followers.delete(follower);
    };
  }

  #add(entry: LogEntry): void {
    for (const follower of this.#followers) follower.offer(entry);
    const kept = entry instanceof LogBlock ? entry.newest(this.#maxBytes) : entry;
    this.#appended += entry.lineCount;
    this.#entries.push(kept);
    this.#lines += kept.lineCount;
    this.#bytes += kept.byteCount;
    while (this.#entries.length > 1) {
      const oldest = this.#entries[0]!;
      if (this.#bytes <= this.#maxBytes && this.#lines - oldest.lineCount < this.#maxLines) break;
      this.#entries.shift();
      this.#lines -= oldest.lineCount;
      this.#bytes -= oldest.byteCount;
    }
  }
}

type Waiting = { readonly entry: LogEntry } | { readonly dropped: number };

/** Decouples a reader of lines from the reading of the pipe: it may be slow or throw without harm to the log. */
class Follower {
  readonly #take: (line: LogLine) => void;
  readonly #onDropped: (count: number) => void;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(take: (line: LogLine) => void, onDropped: (count: number) => void) {
    this.#take = take;
    this.#onDropped = onDropped;
  }

  offer(entry: LogEntry): void {
    const last = this.#waiting.at(-1);
    if (this.#bytes + entry.byteCount <= FOLLOWER_MAX_BYTES) {
      this.#waiting.push({ entry });
      this.#bytes += entry.byteCount;
    } else if (last !== undefined && "dropped" in last) {
      this.#waiting[this.#waiting.length - 1] = { dropped: last.dropped + entry.lineCount };
    } else {
      this.#waiting.push({ dropped: entry.lineCount });
    }
    this.#scheduled ??= setImmediate(() => this.#deliver());
  }

  stop(): void {
    clearImmediate(this.#scheduled);
    this.#waiting = [];
  }

  #deliver(): void {
    this.#scheduled = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const item of waiting) {
      if ("dropped" in item) this.#onDropped(item.dropped);
      else for (const line of item.entry.lines()) this.#take(line);
    }
  }
}
