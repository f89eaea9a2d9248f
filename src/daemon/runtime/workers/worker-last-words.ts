import { socketUseOf } from "../connections/socket-use.js";
import { socketUseInWords } from "../connections/socket-use-words.js";
import { kernelTellsConnections } from "../connections/sockets-look.js";
import type { WorkerHooks } from "../hooks/worker-hooks.js";
import type { WorkerNotices } from "../notify/worker-notices.js";
import type { WorkerProbes } from "../probe/worker-probes.js";
import type { OpenWorkers } from "./open-workers.js";
import type { WorkerTrees } from "./worker-trees.js";
import { complain, type WorkersInput } from "./workers-input.js";

/** What a failure keeps of the worker's last words: it must fit the state that the keeper holds. */
const FAILURE_LINES = 10;
const FAILURE_LINE_CHARACTERS = 400;

export interface LastWordsInput extends Pick<WorkersInput, "setup" | "world" | "find"> {
  readonly open: Pick<OpenWorkers, "of">;
  readonly trees: Pick<WorkerTrees, "pids">;
  readonly hooks: Pick<WorkerHooks, "reason">;
  readonly probes: Pick<WorkerProbes, "end">;
  readonly notices: Pick<WorkerNotices, "lastWords" | "unheard">;
}

/** What is left of a worker of one service to be read when it has ended: its last lines, and why it did not become ready. */
export class WorkerLastWords {
  readonly #o: LastWordsInput;
  readonly #remarks = new Map<number, string>();

  constructor(input: LastWordsInput) {
    this.#o = input;
  }

  /** Instead of what was remarked of it before. */
  remark(worker: number, words: string | undefined): void {
    if (words === undefined) this.#remarks.delete(worker);
    else this.#remarks.set(worker, words);
  }

  /** Of one that has not become ready and is killed for it: what it listens on instead of what it was given. */
  lookAtSockets(worker: number): void {
    const { find, world, setup, trees } = this.#o;
    const found = find(worker);
    if (found?.reason !== "ready-timeout") return;
    const given = setup().sockets;
    if (given.length === 0 || !kernelTellsConnections()) return;
    const inodes = given.flatMap((socket) => world.sockets.inodes(socket, found.lane));
    const addresses = given.flatMap(({ listenText }) => listenText);
    try {
      const words = socketUseInWords(socketUseOf(trees.pids(worker), inodes), addresses);
      if (words !== undefined) this.remark(worker, words);
    } catch (error) {
      // Only the remark is missing then; the worker is killed all the same.
      const { message } = error as Error;
      complain(this.#o, `could not look at the sockets of worker ${worker}: ${message}`, error as Error);
    }
  }

  /** All of it, once: what was remarked is forgotten then. */
  take(worker: number): readonly string[] {
    const why = this.#why(worker);
    const said = this.#o.open.of(worker)?.lastLines(FAILURE_LINES) ?? [];
    const words = why === undefined ? said : [...said.slice(1 - FAILURE_LINES), `holdfast: ${why}`];
    return words.map((line) => line.slice(0, FAILURE_LINE_CHARACTERS));
  }

  /** Why it did not become ready, as far as can be seen from outside, and what it said of its end. */
  #why(worker: number): string | undefined {
    const { find, hooks, probes, notices } = this.#o;
    const seen = [
      hooks.reason(worker),
      probes.end(worker),
      this.#remarks.get(worker),
      notices.lastWords(worker),
      find(worker)?.reason === "ready-timeout" ? notices.unheard(worker) : undefined,
    ];
    this.#remarks.delete(worker);
    return seen.filter((words) => words !== undefined).join("; ") || undefined;
  }
}
