import type { OwnedFd } from "../../../ancillary/index.js";
import type { DrainedLogs } from "./drained-logs.js";
import { LineAssembler } from "./line-assembler.js";
import { LogBlock, type LogOrigin } from "./log-block.js";
import { LogRing } from "./log-ring.js";
import type { LogSink } from "./log-sink.js";
import { PipeReader } from "./pipe-reader.js";

export interface WorkerOutputOptions {
  readonly worker: { readonly service: string; readonly instance: string; readonly worker: number };
  /** Read ends; owned from here on. */
  readonly stdout: OwnedFd;
  readonly stderr: OwnedFd;
  readonly ring: Pick<LogRing, "appendBlock">;
  readonly sink: LogSink;
  readonly now: () => Date;
  /** What the keeper read from the pipes before. */
  readonly drained?: DrainedLogs;
  /** Nobody has a write end of either any more. Not after `close`. */
  readonly onEnd?: () => void;
}

/** The largest capacity of a pipe that a process without privilege can ask for (/proc/sys/fs/pipe-max-size by default). */
const PIPE_BYTES = 1024 * 1024;

/**
 * Reads one worker's stdout and stderr and gives whole lines to the ring of its service and to the sink.
 *
 * A sink that is full pauses both pipes, so that the worker waits instead of a line being lost. The order between the two streams is the order of reading.
 */
export class WorkerOutput {
  readonly #o: WorkerOutputOptions;
  readonly #streams: readonly [Stream, Stream];
  /** Of this worker alone: a loud sibling must not push out what explains a failure. */
  readonly #own = new LogRing({ maxLines: 200, maxBytes: 128 * 1024 });

  constructor(options: WorkerOutputOptions) {
    this.#o = options;
    this.#streams = [this.#open("stdout", options.stdout), this.#open("stderr", options.stderr)];
    for (const stream of this.#streams) this.#recover(stream, options.drained ?? {}); // The pipes themselves are read in a later turn.
  }

  /** The newest lines of this worker, oldest first, at most `count` (200 are kept). Also after `close`. */
  lastLines(count: number): string[] {
    return this.#own.last(count).map((line) => line.text);
  }

  /** Both pipes reached their end: no process has a write end any more. */
  get ended(): boolean {
    return this.#streams.every((stream) => stream.ended);
  }

  /** Of both read ends, for somebody who goes on reading; none if a pipe has reached its end. The caller's. */
  duplicate(): OwnedFd[] {
    this.readNow();
    if (this.#streams.some((stream) => stream.ended)) return [];
    return this.#streams.map(({ reader }) => reader.duplicate());
  }

  /** Takes what is in the pipes now; the lines that it completes are among `lastLines` then. */
  readNow(): void {
    for (const { reader } of this.#streams) reader.takeRest(PIPE_BYTES);
  }

  /**
   * Takes what is in the pipes now, gives out a last line without newline, and closes both read ends. It never waits: a process that
   * outlives the worker may hold a write end for ever. What that process writes later has no reader here.
   */
  close(): void {
    for (const stream of this.#streams) {
      stream.reader.takeRest(PIPE_BYTES);
      stream.reader.close();
      this.#finish(stream);
    }
  }

  #open(name: LogOrigin["stream"], fd: OwnedFd): Stream {
    const stream: Stream = {
      origin: { ...this.#o.worker, stream: name },
      lines: new LineAssembler(),
      ended: false,
      reader: new PipeReader(
        fd,
        (chunk) => {
          for (const bytes of stream.lines.push(chunk)) this.#give(stream.origin, bytes);
        },
        (error) => {
          stream.ended = true;
          this.#finish(stream);
          if (error !== undefined)
            this.#give(
              stream.origin,
              Buffer.from(`holdfast: ${name} of this worker can't be read any more: ${error.message}\n`),
            );
          if (this.ended) this.#o.onEnd?.();
        },
      ),
    };
    return stream;
  }

  #recover({ origin, lines }: Stream, drained: DrainedLogs): void {
    const { dropped, bytes } = drained[origin.stream] ?? { dropped: 0, bytes: Buffer.alloc(0) };
    if (dropped > 0) {
      const words = `holdfast: ${dropped} bytes of ${origin.stream} were dropped here, while there was no supervisor to read them\n`;
      this.#give(origin, Buffer.from(words));
    }
    for (const whole of lines.push(bytes)) this.#give(origin, whole);
  }

  #finish(stream: Stream): void {
    const rest = stream.lines.end();
    if (rest !== undefined) this.#give(stream.origin, rest);
  }

  #give(origin: LogOrigin, bytes: Buffer): void {
    const block = new LogBlock(origin, this.#o.now().toISOString(), bytes);
    this.#own.appendBlock(block);
    this.#o.ring.appendBlock(block);
    if (this.#o.sink.write(block)) return;
    for (const stream of this.#streams) stream.reader.pause();
    this.#o.sink.onDrain(() => {
      for (const stream of this.#streams) stream.reader.resume();
    });
  }
}

interface Stream {
  readonly origin: LogOrigin;
  readonly lines: LineAssembler;
  readonly reader: PipeReader;
  ended: boolean;
}
