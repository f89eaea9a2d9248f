import type { Keeper } from "../keeper/keeper-client.js";
import { KeeperError } from "../keeper/keeper-error.js";
import type { ChildRecord } from "../keeper/records.js";
import type { ClaimedMain } from "./claimed-main.js";

export interface MovesInput {
  readonly keeper: Pick<Keeper, "move">;
  /** The worker does not go on after all: this is how it ended meanwhile. */
  readonly ended: (worker: number, record: ChildRecord) => void;
}

interface Move {
  readonly pid: number;
  /** Of the process so far, which has ended since. */
  end: ChildRecord | undefined;
}

/**
 * Workers that go on with another main process: the keeper is asked, and until it has answered the end of the process so far is not the worker's.
 *
 * Nothing of it outlives the supervisor: the keeper performs what was sent, and tells the next one which process it watches.
 */
export class MainMoves {
  readonly #o: MovesInput;
  readonly #pending = new Map<number, Move>();

  constructor(input: MovesInput) {
    this.#o = input;
  }

  /** Resolves with the errno of a refusal; undefined: it goes on with that process. The pidfd stays the caller's. */
  async ask(
    worker: number,
    key: string,
    { pid, pidfd }: Pick<ClaimedMain, "pid" | "pidfd">,
  ): Promise<number | undefined> {
    const move: Move = { pid, end: this.#pending.get(worker)?.end };
    this.#pending.set(worker, move);
    let errno: number | undefined;
    try {
      await this.#o.keeper.move(key, pid, pidfd);
    } catch (error) {
      if (!(error instanceof KeeperError)) throw error;
      errno = error.errno;
    }
    if (this.#pending.get(worker) === move) {
      this.#pending.delete(worker);
      if (errno !== undefined && move.end !== undefined) this.#o.ended(worker, move.end);
    }
    return errno;
  }

  /** Whether news of the keeper is of a process that is perhaps not the worker's main one any more. */
  isPast(worker: number, record: ChildRecord): boolean {
    const move = this.#pending.get(worker);
    if (move === undefined || move.pid === record.pid) return false;
    if (record.state === "exited" || record.state === "lost") move.end = record;
    return true;
  }
}
