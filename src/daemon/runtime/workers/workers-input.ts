import type { Worker, WorkerEvent } from "../../lifecycle/worker.js";
import type { LogRing } from "../logs/log-ring.js";
import type { LogSink } from "../logs/log-sink.js";
import type { ServiceSetup } from "../service-setup.js";
import { workerKey } from "../service-store.js";
import type { ServiceWorld } from "../service-world.js";

/** What those who act on the workers of one service know, and how the machine hears of it. */
export interface WorkersInput {
  /** What is in force now. */
  readonly setup: () => ServiceSetup;
  readonly world: ServiceWorld;
  readonly ring: LogRing;
  /** Of a worker that is opened now. undefined: it inherits our stdout and stderr. */
  readonly sink: () => LogSink | undefined;
  /** The machine's knowledge of a worker. */
  readonly find: (worker: number) => Worker | undefined;
  /** All processes of workers that accept connections, now or soon. */
  readonly acceptors: () => readonly number[];
  /** Whether the keeper has a start of this instance that it may carry out at any time. */
  readonly isAwaited: (slot: number) => boolean;
  readonly emit: (worker: number, event: WorkerEvent, lines: readonly string[]) => void;
}

/** How the machine hears of a worker where nothing of its own has to be said of it. */
export type WorkerEvents = (worker: number, event: WorkerEvent) => void;

/** The keeper's key of a worker. */
export function keyOf({ setup, find }: Pick<WorkersInput, "setup" | "find">, worker: number): string {
  return workerKey(setup().config.name, find(worker)?.slot ?? 0, worker);
}

/** Something that was not to be expected has failed, and nobody waits for it. */
export function complain(
  { setup, world }: Pick<WorkersInput, "setup" | "world">,
  message: string,
  error?: Error,
): void {
  world.log.error(`${setup().config.name}: ${message}`, error === undefined ? {} : { error });
}
