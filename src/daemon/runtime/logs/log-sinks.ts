import type { LogConfig } from "../../config/config.js";
import { FileSink, type Rotation } from "./file-sink.js";
import type { LogBlock } from "./log-block.js";
import { type LogProblem, type LogSink, nullSink } from "./log-sink.js";
import type { SupervisorOutput } from "./supervisor-output.js";

interface SharedFile {
  readonly sink: FileSink;
  users: number;
}

/** Finds the sink for a configuration. All workers that log to one path share one file, which is closed with its last user. */
export class LogSinks {
  readonly #output: SupervisorOutput;
  readonly #onProblem: (problem: LogProblem) => void;
  readonly #files = new Map<string, SharedFile>();
  /** A file that is being closed must be complete before the same path is opened again, or its end would follow the new beginning. */
  readonly #closing = new Map<string, Promise<void>>();

  constructor(output: SupervisorOutput, onProblem: (problem: LogProblem) => void) {
    this.#output = output;
    this.#onProblem = onProblem;
  }

  /** The caller closes it. undefined for `inherit`: such a worker has no pipes. The newest rotation given for a path holds. */
  open(service: string, log: LogConfig): LogSink | undefined {
    switch (log.to) {
      case "inherit":
        return undefined;
      case "null":
        return nullSink;
      case "supervisor":
        return this.#output.sinkFor(service);
      case "file":
        return this.#openFile(log.path, log.rotate);
    }
  }

  #openFile(path: string, rotate: Rotation | undefined): LogSink {
    const known = this.#files.get(path);
    const shared = known ?? {
      sink: new FileSink({ path, rotate, onProblem: this.#onProblem, after: this.#closing.get(path) }),
      users: 0,
    };
    this.#files.set(path, shared);
    if (known !== undefined) shared.sink.setRotation(rotate);
    shared.users++;
    return new SharedSink(shared.sink, () => this.#leave(path, shared));
  }

  #leave(path: string, shared: SharedFile): Promise<void> {
    shared.users--;
    if (shared.users > 0) return shared.sink.flushed();
    this.#files.delete(path);
    const closed = shared.sink.close().finally(() => {
      if (this.#closing.get(path) === closed) this.#closing.delete(path);
    });
    this.#closing.set(path, closed);
    return closed;
  }
}

class SharedSink implements LogSink {
  readonly #sink: FileSink;
  readonly #leave: () => Promise<void>;
  #closed: Promise<void> | undefined;

  constructor(sink: FileSink, leave: () => Promise<void>) {
    this.#sink = sink;
    this.#leave = leave;
  }

  /** Of all users of the file. */
  get dropped(): number {
    return this.#sink.dropped;
  }

  write(block: LogBlock): boolean {
    return this.#sink.write(block);
  }

  onDrain(resume: () => void): void {
    this.#sink.onDrain(resume);
  }

  written(): Promise<void> {
    return this.#sink.written();
  }

  close(): Promise<void> {
    this.#closed ??= this.#leave();
    return this.#closed;
  }
}
