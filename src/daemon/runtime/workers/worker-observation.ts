import { waitsForSocket } from "../listening.js";
import type { WorkerProbes } from "../probe/worker-probes.js";
import type { WorkerEvents, WorkersInput } from "./workers-input.js";

/** Pauses between two looks at whether a worker waits for its sockets. One look costs about as much as a read of three files per process. */
const FIRST_LOOK_MS = 4;
const LONGEST_LOOK_MS = 64;

export interface ObservationInput extends Pick<WorkersInput, "setup" | "world" | "find"> {
  readonly emit: WorkerEvents;
  readonly probes: Pick<WorkerProbes, "start">;
}

/** Finds out from outside that a worker of one service is ready: it answers a probe, or waits for its sockets. */
export class WorkerObservation {
  readonly #o: ObservationInput;

  constructor(input: ObservationInput) {
    this.#o = input;
  }

  observe(worker: number): void {
    this.#look(worker, FIRST_LOOK_MS);
  }

  /** Nothing tells when a program begins to wait for its sockets, so this looks again, with growing pauses. */
  #look(worker: number, pauseMs: number): void {
    const { setup, world, find, emit, probes } = this.#o;
    const { config, sockets } = setup();
    const found = find(worker);
    if (found?.pid === undefined || found.state.phase !== "warming") return;
    if (config.ready.when === "probe") return probes.start(found);
    const inodes = sockets.flatMap((socket) => world.sockets.inodes(socket, found.lane));
    const waiting = waitsForSocket(found.pid, inodes);
    if (waiting === "yes") return emit(worker, { type: "announced", by: "listening" });
    if (waiting === "not-permitted") return emit(worker, { type: "unobservable" });
    setTimeout(() => this.#look(worker, Math.min(pauseMs * 2, LONGEST_LOOK_MS)), pauseMs).unref();
  }
}
