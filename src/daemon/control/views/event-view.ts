/** One fact, as `events` shows it. */
export interface EventView {
  /** Ascending; gaps mean that the reader was too slow. Starts again with each supervisor. */
  readonly sequence: number;
  readonly at: string;
  /** e.g. `worker-started`, `worker-ready`, `worker-exited`, `start-limit`, `supervisor-adopted`. */
  readonly type: string;
  readonly service?: string;
  readonly instance?: string;
  readonly worker?: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}
