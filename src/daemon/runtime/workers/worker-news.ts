import { eventsOf } from "../child-events.js";
import type { ChildRecord } from "../keeper/records.js";
import type { MainMoves } from "../notify/main-moves.js";
import { PidFiles } from "../notify/pid-files.js";
import type { WorkerNotices } from "../notify/worker-notices.js";
import type { OpenWorkers } from "./open-workers.js";
import type { WorkerLastWords } from "./worker-last-words.js";
import type { WorkerTrees } from "./worker-trees.js";
import type { WorkerEvents, WorkersInput } from "./workers-input.js";

export interface NewsInput extends Pick<WorkersInput, "setup" | "find"> {
  readonly open: Pick<OpenWorkers, "of">;
  readonly notices: Pick<WorkerNotices, "identify" | "follow">;
  readonly moves: Pick<MainMoves, "isPast">;
  readonly trees: Pick<WorkerTrees, "tree">;
  readonly lastWords: Pick<WorkerLastWords, "remark">;
  readonly emit: WorkerEvents;
}

/** What the keeper tells of the workers of one service. The end of a main process is an event only where the worker does not go on as another one. */
export class WorkerNews {
  readonly #o: NewsInput;
  readonly #pidFiles: PidFiles;

  constructor(input: NewsInput) {
    const { setup, find, trees, notices, lastWords } = input;
    this.#o = input;
    this.#pidFiles = new PidFiles({
      path: () => setup().config.pidFile,
      phase: (worker) => find(worker)?.state.phase,
      treeIsEmpty: (worker) => trees.tree(worker, false)?.isEmpty() ?? true,
      follow: (worker, pid) => notices.follow(worker, pid),
      remark: (worker, words) => lastWords.remark(worker, words),
      ended: (worker, record) => this.#end(worker, record),
    });
  }

  /** What the worker itself said before is heard first. */
  hear(worker: number, record: ChildRecord): void {
    const { open, notices, moves } = this.#o;
    if (record.process !== undefined) notices.identify(worker, record.pid, record.process);
    open.of(worker)?.drainNotify();
    if (!moves.isPast(worker, record)) this.tell(worker, record);
  }

  /** Of the process that is the worker's main one after all. */
  tell(worker: number, record: ChildRecord): void {
    for (const event of eventsOf(record)) {
      if (event.type === "exited" && this.#pidFiles.holds(worker, record)) return;
      this.#o.emit(worker, event);
    }
  }

  close(): void {
    this.#pidFiles.close();
  }

  #end(worker: number, record: ChildRecord): void {
    const end = eventsOf(record).find(({ type }) => type === "exited");
    if (end !== undefined) this.#o.emit(worker, end);
  }
}
