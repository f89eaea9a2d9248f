import type { OwnedFd } from "../../../ancillary/index.js";
import { KeeperError } from "../keeper/keeper-error.js";
import type { ArmRecord, ListedChild } from "../keeper/records.js";
import { type DrainedLogs, settleDrained, takeDrained } from "../logs/drained-logs.js";
import type { WorkerNotices } from "../notify/worker-notices.js";
import { decodeWorkerTag, type WorkerTag } from "../service-store.js";
import { sortKept } from "../worker-resources.js";
import type { OpenWorkers } from "./open-workers.js";
import { complain, type WorkersInput } from "./workers-input.js";

const ENOENT = 2;

export interface ReopeningInput extends Pick<WorkersInput, "setup" | "world" | "sink"> {
  readonly open: Pick<OpenWorkers, "open">;
  readonly notices: Pick<WorkerNotices, "identify">;
  /** So many bytes of what a worker had logged are lost. */
  readonly dropped: (bytes: number) => void;
}

/** Opens again what the keeper kept for the workers of an earlier supervisor. */
export class WorkerReopening {
  readonly #o: ReopeningInput;

  constructor(input: ReopeningInput) {
    this.#o = input;
  }

  async reopen(worker: number, record: ListedChild | ArmRecord): Promise<void> {
    const tag = decodeWorkerTag(record.tag);
    if (tag === undefined) return;
    const fds = await this.#fetchKept(record);
    // In front of what is kept a child that runs has its pidfd (signals go through the keeper). It may have ended since it was listed.
    const pidfd = fds.length > tag.keep.length ? fds.shift() : undefined;
    const process = pidfd?.identity().ino;
    pidfd?.close();
    const { notify, pipes } = sortKept(tag, fds);
    const drained = await this.#takeLogs(record.key, tag);
    const adopted = "state" in record && record.adopted;
    this.#o.open.open(worker, record.key, tag, { notify, pipes, drained, adopted });
    if (process !== undefined && "state" in record) this.#o.notices.identify(worker, record.pid, process);
  }

  /** The keeper forgets an armed start that no state knows. */
  dropArm(arm: ArmRecord): void {
    this.#o.world.keeper.disarm(arm.key).catch((error: Error) => {
      if (error instanceof KeeperError && error.errno === ENOENT) return;
      complain(this.#o, `could not drop an armed start that no state knows: ${error.message}`, error);
    });
  }

  /** Of a worker whose lines go nowhere we know of, the keeper goes on to read what it writes. */
  async #takeLogs(key: string, tag: WorkerTag): Promise<DrainedLogs> {
    const { keeper } = this.#o.world;
    const sink = this.#o.sink();
    if (sink === undefined) return {};
    const drained = await takeDrained(keeper, key, tag.keep);
    for (const { dropped } of Object.values(drained)) this.#o.dropped(dropped);
    setImmediate(() => {
      const settled = sink.written().then(() => settleDrained(keeper, key, tag.keep));
      settled.catch((error: Error) => complain(this.#o, `settle what the keeper read: ${error.message}`, error));
    });
    return drained;
  }

  /** An arm that was listed may have been fired by now. */
  async #fetchKept(record: ListedChild | ArmRecord): Promise<OwnedFd[]> {
    const { keeper } = this.#o.world;
    if ("state" in record) return keeper.fetch("children", record.key);
    return keeper.fetch("arms", record.key).catch((error: Error) => {
      if (!(error instanceof KeeperError) || error.errno !== ENOENT) throw error;
      return keeper.fetch("children", record.key);
    });
  }
}
