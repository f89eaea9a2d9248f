import type { NotifySocket } from "../../../ancillary/index.js";
import type { WorkerHandoffs } from "../handoff/worker-handoffs.js";
import type { DrainedLogs } from "../logs/drained-logs.js";
import type { WorkerNotices } from "../notify/worker-notices.js";
import type { WorkerTag } from "../service-store.js";
import type { WorkerPipes } from "../start-plan.js";
import { WorkerResources } from "../worker-resources.js";
import type { WorkersInput } from "./workers-input.js";

export interface OpenInput extends Pick<WorkersInput, "ring" | "sink"> {
  readonly notices: Pick<WorkerNotices, "open" | "hear" | "dropped" | "forget">;
  readonly handoffs: Pick<WorkerHandoffs, "join">;
  /** A line came on READY_FD. */
  readonly announced: (worker: number) => void;
}

/** What the supervisor has open for the workers of one service: from their start, or the wait for it, to the end of their tree. */
export class OpenWorkers {
  readonly #o: OpenInput;
  readonly #resources = new Map<number, WorkerResources>();

  constructor(input: OpenInput) {
    this.#o = input;
  }

  get count(): number {
    return this.#resources.size;
  }

  of(worker: number): WorkerResources | undefined {
    return this.#resources.get(worker);
  }

  /** Takes over the pipes and the socket, and listens from now on. */
  open(
    worker: number,
    key: string,
    tag: WorkerTag,
    o: {
      readonly notify: NotifySocket;
      readonly pipes: WorkerPipes;
      /** Of one that an earlier supervisor started. */
      readonly drained?: DrainedLogs;
      /** Of one that another keeper started. */
      readonly adopted?: boolean;
    },
  ): void {
    const { ring, sink, notices, handoffs, announced } = this.#o;
    const { notify, pipes, drained, adopted = false } = o;
    const resources = new WorkerResources({
      key,
      tag,
      notify,
      pipes,
      ring,
      sink: sink(),
      drained: drained ?? {},
      adopted,
      listener: {
        notified: (message) => notices.hear(worker, message),
        announced: () => announced(worker),
        dropped: (reason) => notices.dropped(worker, reason),
      },
    });
    this.#resources.set(worker, resources);
    notices.open(worker, key, tag);
    if (pipes.channel !== undefined) handoffs.join(worker, pipes.channel, drained !== undefined);
  }

  /** Hears what all workers have said by now. */
  listen(): void {
    for (const resources of this.#resources.values()) resources.drainNotify();
  }

  /** Closes what one has. Returns its key; undefined: it never reached the keeper. */
  forget(worker: number): string | undefined {
    const resources = this.#resources.get(worker);
    if (resources === undefined) return undefined;
    resources.close();
    this.#resources.delete(worker);
    this.#o.notices.forget(worker);
    return resources.key;
  }

  closeAll(): void {
    for (const resources of this.#resources.values()) resources.close();
    this.#resources.clear();
  }
}
