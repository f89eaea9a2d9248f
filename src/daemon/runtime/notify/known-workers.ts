import type { Worker } from "../../lifecycle/worker.js";
import { resolveIdentity } from "../identity.js";
import type { NotifyReceiver } from "../notify-sender.js";
import type { ServiceSetup } from "../service-setup.js";
import { encodeWorkerTag, type WorkerTag } from "../service-store.js";
import type { ServiceWorld } from "../service-world.js";

export interface KnownInput {
  readonly setup: () => ServiceSetup;
  readonly world: Pick<ServiceWorld, "keeper" | "keeperPid">;
  readonly find: (worker: number) => Worker | undefined;
}

export interface KnownWorker {
  readonly key: string;
  /** What the keeper has of it, or is about to have. */
  tag: WorkerTag;
  pid?: number;
  /** Which process that is, as the keeper's pidfd of it says. */
  identity?: { readonly pid: number; readonly process: bigint };
  /** The last message of which nothing was heard, in words. */
  unheard?: string;
}

/** Those workers of one service that have a notify socket: who each of them is, and what is kept of what it has said, for the next supervisor too. */
export class KnownWorkers {
  readonly #o: KnownInput;
  readonly #workers = new Map<number, KnownWorker>();
  readonly #unwritten = new Set<number>();

  constructor(input: KnownInput) {
    this.#o = input;
  }

  /** `tag` has what an earlier supervisor has heard. */
  open(worker: number, key: string, tag: WorkerTag): void {
    this.#workers.set(worker, { key, tag });
  }

  forget(worker: number): void {
    this.#workers.delete(worker);
  }

  of(worker: number): KnownWorker | undefined {
    return this.#workers.get(worker);
  }

  /** Of its main process; undefined: it is not told yet. */
  pid(worker: number): number | undefined {
    return this.#workers.get(worker)?.pid ?? this.#o.find(worker)?.pid;
  }

  /** Who is its own; undefined: its pid is not told yet. */
  receiver(worker: number): NotifyReceiver | undefined {
    const known = this.#workers.get(worker);
    const pid = this.pid(worker);
    if (known === undefined || pid === undefined) return undefined;
    const { tag, identity } = known;
    const uid = resolveIdentity(this.#o.setup().config).uid ?? process.getuid?.() ?? 0;
    const own = identity?.pid === pid ? { process: identity.process } : {};
    const { keeperPid: keeper } = this.#o.world;
    return { pid, ...own, session: tag.moved?.leader ?? pid, uid, keeper, mark: `INVOCATION_ID=${tag.invocation}` };
  }

  /** Written once for all that comes in one turn of the event loop: a worker may say a thousand things a second. */
  note(worker: number, tag: WorkerTag): void {
    const known = this.#workers.get(worker);
    if (known === undefined) return;
    known.tag = tag;
    if (this.#unwritten.size === 0) setImmediate(() => this.#write()).unref();
    this.#unwritten.add(worker);
  }

  /** It is on its way to the keeper when this returns, before whatever is asked of it next. Of one that was forgotten nothing is written. */
  noteNow(worker: number, known: KnownWorker, tag: WorkerTag): void {
    known.tag = tag;
    this.#unwritten.add(worker);
    this.#write();
  }

  #write(): void {
    for (const worker of this.#unwritten) {
      const known = this.#workers.get(worker);
      if (known === undefined) continue;
      // It may have ended, and been acknowledged, before this; and a supervisor without a keeper has other sorrows.
      this.#o.world.keeper.tag("children", known.key, encodeWorkerTag(known.tag)).catch(() => undefined);
    }
    this.#unwritten.clear();
  }
}
