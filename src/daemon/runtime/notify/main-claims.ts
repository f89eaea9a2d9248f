import type { NotifyMessage } from "../../../ancillary/index.js";
import type { Worker } from "../../lifecycle/worker.js";
import type { NotifyReceiver } from "../notify-sender.js";
import { readStat } from "../process-stat.js";
import type { ServiceWorld } from "../service-world.js";
import { type ClaimedMain, claimMain, type MainClaim } from "./claimed-main.js";
import type { Complaints } from "./complaints.js";
import type { KnownWorker, KnownWorkers } from "./known-workers.js";
import type { MainMoves } from "./main-moves.js";
import { errnoInWords } from "./said.js";

export interface ClaimsInput {
  readonly world: Pick<ServiceWorld, "keeperPid" | "knownPids" | "log">;
  readonly find: (worker: number) => Worker | undefined;
  readonly known: KnownWorkers;
  readonly complaints: Complaints;
  readonly moves: Pick<MainMoves, "ask">;
}

/** Workers of one service that say they go on as another process than they were started as, by MAINPID= or in a pid file: whether they may, and what then. */
export class MainClaims {
  readonly #o: ClaimsInput;

  constructor(input: ClaimsInput) {
    this.#o = input;
  }

  /** MAINPID= of somebody who may speak for the worker. */
  hear(worker: number, message: NotifyMessage, claim: MainClaim): void {
    const { find, known, world } = this.#o;
    const found = known.of(worker);
    const receiver = known.receiver(worker);
    if (found === undefined || receiver === undefined) return;
    const { fds, uid } = message;
    const others = this.#othersThan(receiver.pid);
    const claimed = claimMain(claim, { fds, worker: receiver, byRoot: uid === 0, others });
    const { phase } = find(worker)?.state ?? { phase: "gone" };
    const late = phase === "sweeping" || phase === "gone";
    const moved =
      typeof claimed === "string"
        ? Promise.resolve(claimed)
        : this.#goOn(worker, { known: found, receiver, claimed, late });
    moved.then(
      (why) => why === undefined || this.#refuse(message, why),
      (error: Error) => world.log.error(`${found.key}: MAINPID: ${error.message}`, { error }),
    );
  }

  /** As its pid file says, after the end of the process so far. Resolves with why not, to be put after "it ". */
  async follow(worker: number, pid: number): Promise<string | undefined> {
    const known = this.#o.known.of(worker);
    const receiver = this.#o.known.receiver(worker);
    if (known === undefined || receiver === undefined) return "is nobody's";
    const others = this.#othersThan(receiver.pid);
    const orphansOf = this.#o.world.keeperPid;
    const claimed = claimMain({ pid }, { fds: [], worker: receiver, byRoot: false, others, orphansOf });
    if (typeof claimed === "string") return claimed;
    return this.#goOn(worker, { known, receiver, claimed, late: false });
  }

  #othersThan(pid: number): ReadonlySet<number> {
    const { knownPids, keeperPid } = this.#o.world;
    const others = knownPids().add(keeperPid).add(process.pid);
    others.delete(pid);
    return others;
  }

  /** The tag goes first: whoever finds the keeper with the other process finds in it which was the first one. */
  async #goOn(
    worker: number,
    o: {
      readonly known: KnownWorker;
      readonly receiver: NotifyReceiver;
      readonly claimed: ClaimedMain;
      readonly late: boolean;
    },
  ): Promise<string | undefined> {
    const { known, claimed } = o;
    const { pid } = o.receiver;
    using _pidfd = claimed.pidfd; // The request carries a duplicate.
    if (o.late) return "comes too late";
    if (claimed.pid === pid) return undefined;
    const { leader, leaderTicks } = known.tag.moved ?? {
      leader: pid,
      leaderTicks: String(readStat(pid)?.startTicks ?? 0n),
    };
    const before = { pid: known.pid, moved: known.tag.moved };
    const moved = { leader, leaderTicks, main: claimed.pid, mainTicks: String(claimed.startTicks) };
    known.pid = claimed.pid;
    known.identity = { pid: claimed.pid, process: claimed.pidfd.identity().ino };
    this.#o.known.noteNow(worker, known, { ...known.tag, moved });
    const errno = await this.#o.moves.ask(worker, known.key, claimed);
    if (errno === undefined) return undefined;
    if (known.tag.moved === moved) {
      const { moved: _, ...tag } = known.tag;
      if (before.pid !== undefined) known.pid = before.pid;
      this.#o.known.noteNow(worker, known, { ...tag, ...(before.moved === undefined ? {} : { moved: before.moved }) });
    }
    return `was refused by the keeper (${errnoInWords(errno)})`;
  }

  #refuse({ pid }: NotifyMessage, why: string): void {
    const words = `the main process that pid ${pid} has named ${why}; the one so far stays`;
    this.#o.complaints.add("notify-mainpid-refused", words);
  }
}
