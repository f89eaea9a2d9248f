import type { LogBlock } from "./log-block.js";

/** Where the lines of a service go, besides the ring. */
export interface LogSink {
  /** Takes the block in any case; false: full, and reading should pause until `onDrain` calls back. */
  write(block: LogBlock): boolean;
  /** Calls `resume` once, when there is room again. */
  onDrain(resume: () => void): void;
  /** Resolves when everything that was taken until now is written or counted as dropped. What is taken meanwhile is not waited for. */
  written(): Promise<void>;
  /** Resolves when everything that was taken is written or counted as dropped. */
  close(): Promise<void>;
  /** Lines that were taken and could not be written. */
  readonly dropped: number;
}

/** What a sink tells about itself; never more than once for the same trouble. */
export interface LogProblem {
  readonly code: "log-file-failed" | "log-file-recovered" | "log-rotation-failed" | "log-output-failed";
  /** One sentence with path, reason and what happens now. */
  readonly message: string;
  readonly path: string;
  /** Lines of this sink that were dropped so far. */
  readonly dropped: number;
  readonly cause?: unknown;
}

/** Takes everything and keeps nothing; nothing counts as lost, because nothing was asked for. */
export const nullSink: LogSink = {
  write: () => true,
  onDrain: (resume) => resume(),
  written: () => Promise.resolve(),
  close: () => Promise.resolve(),
  dropped: 0,
};
