import type { LogLine } from "../../control/api.js";
import type { LogBlock } from "./log-block.js";
import type { LogProblem, LogSink } from "./log-sink.js";
import type { OutputStream } from "./output-stream.js";

export interface SupervisorOutputOptions {
  readonly stream: OutputStream;
  /** `pretty`: `web/1 | text`; `json`: as the supervisor's own log, with the text as `msg`. */
  readonly format: "pretty" | "json";
  readonly onProblem: (problem: LogProblem) => void;
  /** Bytes that may wait; 1 MiB. */
  readonly maxBytes?: number;
  readonly now?: () => Date;
}

/**
 * The lines of all services on the supervisor's stdout.
 *
 * A reader that is too slow must not stop the workers: what does not fit into the buffer is dropped, counted for each service, and said
 * once on the same stream when it takes lines again.
 */
export class SupervisorOutput {
  readonly #stream: OutputStream;
  readonly #format: "pretty" | "json";
  readonly #onProblem: (problem: LogProblem) => void;
  readonly #maxBytes: number;
  readonly #now: () => Date;
  readonly #own = new ServiceSink(
    () => {},
    () => this.#written(),
  );
  readonly #sinks = new Map<string, ServiceSink>();
  #queue: {
    readonly bytes: Buffer;
    readonly lines: number;
    readonly sink?: ServiceSink;
    /** Called once everything before it was written or dropped. */
    readonly passed?: () => void;
  }[] = [];
  #queuedBytes = 0;
  #broken = false;
  #pumping: Promise<void> | undefined;

  constructor(options: SupervisorOutputOptions) {
    this.#stream = options.stream;
    this.#format = options.format;
    this.#onProblem = options.onProblem;
    this.#maxBytes = options.maxBytes ?? 1024 * 1024;
    this.#now = options.now ?? (() => new Date());
  }

  /** The same one for the same service; its `close` does not wait for the reader of stdout, `close` of this object does. */
  sinkFor(service: string): LogSink {
    const sink: ServiceSink =
      this.#sinks.get(service) ??
      new ServiceSink(
        (block) => this.#write(block, sink),
        () => this.#written(),
      );
    this.#sinks.set(service, sink);
    return sink;
  }

  /** A whole line of the supervisor itself, with its newline; under the same bound and the same count as the lines of services. */
  writeOwn(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#accepts(this.#own, bytes.length)) this.#enqueue(bytes, 1, this.#own);
    else this.#own.drop(1);
  }

  /** Waits until everything is written, at most `timeoutMs`; what is left then is dropped and counted. */
  async close(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#pumping, timeout]);
    clearTimeout(timer);
    this.#discard();
    this.#stream.close();
  }

  #write(block: LogBlock, sink: ServiceSink): void {
    if (!this.#accepts(sink, block.byteCount)) {
      sink.drop(block.lineCount);
      return;
    }
    const bytes = Buffer.from(
      block
        .lines()
        .map((line) => this.#render(line))
        .join(""),
    );
    this.#enqueue(bytes, block.lineCount, sink);
  }

  /** Once lines were dropped, the next ones are dropped too until the notice has been said: it stands where they are missing. */
  #accepts(sink: ServiceSink, bytes: number): boolean {
    const full = this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#maxBytes;
    return !this.#broken && sink.unsaid === 0 && !full;
  }

  #enqueue(bytes: Buffer, lines: number, sink?: ServiceSink): void {
    this.#queue.push({ bytes, lines, ...(sink === undefined ? {} : { sink }) });
    this.#queuedBytes += bytes.length;
    this.#pumping ??= this.#pump();
  }

  #written(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((passed) => this.#queue.push({ bytes: Buffer.alloc(0), lines: 0, passed }));
  }

  async #pump(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const head = this.#queue[0]!;
        if (head.passed !== undefined) {
          this.#queue.shift();
          head.passed();
          continue;
        }
        const written = await this.#stream.write(head.bytes);
        if (this.#broken) return;
        this.#queuedBytes -= written;
        if (written === head.bytes.length) this.#queue.shift();
        else this.#queue[0] = { ...head, bytes: head.bytes.subarray(written) };
        if (this.#queuedBytes < this.#maxBytes / 2) this.#sayWhatWasDropped();
      }
    } catch (cause) {
      this.#discard();
      const message = `stdout cannot be written: ${cause instanceof Error ? cause.message : String(cause)}; log lines that go there are dropped and counted`;
      this.#onProblem({ code: "log-output-failed", message, path: "stdout", dropped: this.#dropped(), cause });
    } finally {
      this.#pumping = undefined;
    }
  }

  #sayWhatWasDropped(): void {
    for (const [name, sink] of [["the supervisor", this.#own] as const, ...this.#sinks]) {
      if (sink.unsaid === 0) continue;
      const message = `${sink.unsaid} log lines of ${name} were dropped: stdout is not read fast enough`;
      sink.unsaid = 0;
      const time = this.#now().toISOString();
      this.#enqueue(
        Buffer.from(
          this.#format === "json"
            ? `${JSON.stringify({ level: "warn", time, msg: message })}\n`
            : `holdfast: ${message}\n`,
        ),
        0,
      );
    }
  }

  #discard(): void {
    this.#broken = true;
    for (const { lines, sink, passed } of this.#queue) {
      sink?.drop(lines);
      passed?.();
    }
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  #dropped(): number {
    let dropped = this.#own.dropped;
    for (const sink of this.#sinks.values()) dropped += sink.dropped;
    return dropped;
  }

  #render(line: LogLine): string {
    if (this.#format === "pretty") return `${line.instance} | ${line.text}\n`;
    const { at, text, ...origin } = line;
    return `${JSON.stringify({ level: "info", time: at, ...origin, msg: text })}\n`;
  }
}

class ServiceSink implements LogSink {
  readonly #take: (block: LogBlock) => void;
  readonly written: () => Promise<void>;
  #dropped = 0;
  /** Dropped lines that the stream was not told about yet. */
  unsaid = 0;

  constructor(take: (block: LogBlock) => void, written: () => Promise<void>) {
    this.#take = take;
    this.written = written;
  }

  get dropped(): number {
    return this.#dropped;
  }

  drop(lines: number): void {
    this.#dropped += lines;
    this.unsaid += lines;
  }

  write(block: LogBlock): boolean {
    this.#take(block);
    return true;
  }

  onDrain(resume: () => void): void {
    resume();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
