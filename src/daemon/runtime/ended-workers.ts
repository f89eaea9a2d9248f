import { KeeperError } from "./keeper/keeper-error.js";
import type { ChildRecord } from "./keeper/records.js";
import { takeDrained } from "./logs/drained-logs.js";
import type { WorkerTag } from "./service-store.js";
import type { ServiceWorld } from "./service-world.js";
import { settlesWithin } from "./settles-within.js";
import { endStray, isOver } from "./stray.js";

const ENOENT = 2;
/** A file system that hangs must not keep the keeper from forgetting workers. */
const WRITTEN_WITHIN_MS = 10_000;

export interface EndedInput {
  readonly world: Pick<ServiceWorld, "keeper" | "log">;
  /** Resolves when the lines that workers have written until now stand where they belong, or are counted as dropped. */
  readonly written: () => Promise<void>;
  /** So many bytes of what a worker had logged are lost. */
  readonly dropped: (bytes: number) => void;
}

/**
 * Workers whose end is known: the keeper is told to forget each once its lines are written. Until then it counts what it has read and nobody has
 * written; afterwards nobody does.
 */
export class EndedWorkers {
  readonly #o: EndedInput;
  readonly #withinMs: number;
  readonly #forgetting = new Map<number, Promise<void>>();

  constructor(input: EndedInput, withinMs = WRITTEN_WITHIN_MS) {
    this.#o = input;
    this.#withinMs = withinMs;
  }

  forget(worker: number, key: string): void {
    const { keeper } = this.#o.world;
    const told = settlesWithin(this.#o.written(), this.#withinMs).then(() => {
      this.#forgetting.delete(worker);
      keeper.acknowledge(key).catch((error: Error) => {
        if (!(error instanceof KeeperError) || error.errno !== ENOENT) this.#complain(key, error);
      });
    });
    this.#forgetting.set(worker, told);
  }

  /** Resolves once the keeper is told of all. */
  async told(): Promise<void> {
    await Promise.all(this.#forgetting.values());
  }

  /** News of one that the machine does not know: an earlier supervisor had forgotten it, and the keeper was not told so. */
  hear(worker: number, record: ChildRecord, tag: WorkerTag): void {
    if (this.#forgetting.has(worker)) return; // It is told soon.
    const { keeper, log } = this.#o.world;
    void (isOver(record) ? this.#countUnwritten(record.key, tag) : Promise.resolve()).then(() =>
      endStray(keeper, log, record),
    );
  }

  /** What the keeper has read from it, and what an earlier supervisor had taken and perhaps not written: nobody writes it now. */
  async #countUnwritten(key: string, tag: WorkerTag): Promise<void> {
    const { keeper, log } = this.#o.world;
    try {
      const drained = Object.values(await takeDrained(keeper, key, tag.keep));
      const lost = drained.reduce((sum, { dropped, bytes }) => sum + dropped + bytes.length, 0);
      if (lost === 0) return;
      this.#o.dropped(lost);
      log.warn(
        `${key}: up to ${lost} bytes that it had logged before its end were dropped, because a supervisor ended`,
      );
    } catch (error) {
      // It was never started, so it has no pipes; or it was forgotten meanwhile.
      if (!(error instanceof KeeperError)) this.#complain(key, error as Error);
    }
  }

  #complain(key: string, error: Error): void {
    this.#o.world.log.error(`${key}: ${error.message}`, { error });
  }
}
