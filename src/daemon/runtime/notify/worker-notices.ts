import type { NotifyDropReason, NotifyMessage } from "../../../ancillary/index.js";
import type { Worker, WorkerEvent } from "../../lifecycle/worker.js";
import { resolveIdentity } from "../identity.js";
import { type NotifyReceiver, speaksFor } from "../notify-sender.js";
import { readStat } from "../process-stat.js";
import type { ServiceSetup } from "../service-setup.js";
import { encodeWorkerTag, type MovedMain, type WorkerTag } from "../service-store.js";
import type { ServiceWorld } from "../service-world.js";
import { type ClaimedMain, claimMain, type MainClaim } from "./claimed-main.js";
import { Complaints } from "./complaints.js";
import type { FdStore } from "./fd-store.js";
import type { MainMoves } from "./main-moves.js";
import { type Notice, readNotice } from "./notice.js";
import { cutStatus, errnoInWords, lastWords, malformedIn, type Said } from "./said.js";
import type { WorkerReloads } from "./worker-reloads.js";

export interface NoticesInput {
  readonly setup: () => ServiceSetup;
  readonly world: ServiceWorld;
  readonly find: (worker: number) => Worker | undefined;
  readonly emit: (worker: number, event: WorkerEvent) => void;
  readonly store: FdStore;
  readonly reloads: WorkerReloads;
  readonly moves: Pick<MainMoves, "ask">;
}

interface Known {
  readonly key: string;
  tag: WorkerTag;
  pid?: number;
  /** Which process that is, as the keeper's pidfd of it says. */
  identity?: { readonly pid: number; readonly process: bigint };
  unheard?: string;
}

const DROPPED: Readonly<Record<NotifyDropReason, string>> = {
  "no-credentials": "came without the credentials of its sender",
  truncated: "lost descriptors on its way",
  "too-large": "has more than 4096 bytes",
  malformed: "has no line NAME=value, or a NUL",
};

/** What the workers of one service say on their notify sockets: who may speak, what it means, and what is kept of it. */
export class WorkerNotices {
  readonly #o: NoticesInput;
  readonly #workers = new Map<number, Known>();
  readonly #unwritten = new Set<number>();
  readonly #complaints: Complaints;

  constructor(input: NoticesInput) {
    this.#o = input;
    this.#complaints = new Complaints(input.world, () => input.setup().config.name);
  }

  /** `tag` has what an earlier supervisor has heard. */
  open(worker: number, key: string, tag: WorkerTag): void {
    this.#workers.set(worker, { key, tag });
  }

  /** The keeper has told its pid, which the machine may not know yet. */
  started(worker: number, pid: number): void {
    const known = this.#workers.get(worker);
    if (known !== undefined) known.pid = pid;
  }

  /** `process`: the inode of a pidfd of its main process, of whoever is its parent. */
  identify(worker: number, pid: number, process: bigint): void {
    const known = this.#workers.get(worker);
    if (known !== undefined) known.identity = { pid, process };
  }

  forget(worker: number): void {
    this.#workers.delete(worker);
    this.#o.reloads.ended(worker);
  }

  of(worker: number): Said {
    return this.#workers.get(worker)?.tag.said ?? {};
  }

  /** Which processes are its own, if it goes on with another one than it was started as. */
  moved(worker: number): MovedMain | undefined {
    return this.#workers.get(worker)?.tag.moved;
  }

  /** For STATUS= by another way than its notify socket. */
  setStatus(worker: number, text: string): void {
    this.#note(worker, { status: cutStatus(text) });
  }

  /** Its last words on how it ended, as far as they are not in its exit status. */
  lastWords(worker: number): string | undefined {
    return lastWords(this.of(worker));
  }

  /** `later`: only once its pid is told it is clear who is its. A program may have written over the mark in its environment. */
  hear(worker: number, message: NotifyMessage): "later" | undefined {
    const known = this.#workers.get(worker);
    if (known === undefined) return undefined;
    const pid = known.pid ?? this.#o.find(worker)?.pid;
    if (pid === undefined) return "later";
    if (message.fields.get("BARRIER") === "1") {
      // Whoever waits for that: its one descriptor is closed when we return, and so is whatever else nobody takes.
      const { length } = message.fds;
      if (length !== 1) {
        this.#complaints.add(
          "notify-barriers-refused",
          `a barrier of pid ${message.pid} had ${length} descriptors, not one`,
        );
      }
      return undefined;
    }
    if (!this.#maySpeak(known, pid, message)) return undefined;
    const notice = readNotice(message.fields);
    if (notice.malformed.length > 0) {
      const what = malformedIn(message, notice);
      this.#complaints.add(
        "notify-malformed-values",
        `pid ${message.pid} said ${what}, which means nothing and was left out`,
      );
    }
    if (notice.main !== undefined) this.#move(worker, { known, pid, message, claim: notice.main });
    this.#remember(worker, notice);
    this.#tell(worker, notice);
    this.#keep(worker, notice, message);
    return undefined;
  }

  #maySpeak(known: Known, pid: number, message: NotifyMessage): boolean {
    const { config } = this.#o.setup();
    if (!speaksFor(message, this.#receiverOf(known, pid))) {
      this.#drop(
        known,
        "foreign",
        `a message of pid ${message.pid} on its notify socket was dropped, since that is not of this worker`,
      );
      return false;
    }
    const access = known.tag.said?.access ?? config.notifyAccess ?? "all";
    // For "exec" as well: no process of control beside it is told where to speak.
    if (access === "all" || (access !== "none" && message.pid === pid)) return true;
    const why =
      access === "none" ? "notify_access is none" : `notify_access is ${access} and its main process is pid ${pid}`;
    this.#drop(known, "refused", `a message of pid ${message.pid} on its notify socket was dropped, since ${why}`);
    return false;
  }

  /** A message that is none. */
  dropped(worker: number, reason: NotifyDropReason): void {
    const known = this.#workers.get(worker);
    if (known !== undefined)
      this.#drop(known, reason, `a message on its notify socket was dropped, since it ${DROPPED[reason]}`);
  }

  #drop(known: Known, kind: string, words: string): void {
    this.#complaints.add(`notify-${kind}`, words);
    known.unheard = words;
  }

  /** Of one that did not become ready in time: the last message of which nothing was heard. */
  unheard(worker: number): string | undefined {
    return this.#workers.get(worker)?.unheard;
  }

  /** Who is its own; undefined: its pid is not told yet. */
  receiver(worker: number): NotifyReceiver | undefined {
    const known = this.#workers.get(worker);
    const pid = known?.pid ?? this.#o.find(worker)?.pid;
    return known === undefined || pid === undefined ? undefined : this.#receiverOf(known, pid);
  }

  #receiverOf({ tag, identity }: Known, pid: number): NotifyReceiver {
    const uid = resolveIdentity(this.#o.setup().config).uid ?? process.getuid?.() ?? 0;
    const own = identity?.pid === pid ? { process: identity.process } : {};
    const { keeperPid: keeper } = this.#o.world;
    return { pid, ...own, session: tag.moved?.leader ?? pid, uid, keeper, mark: `INVOCATION_ID=${tag.invocation}` };
  }

  /** The tag goes first: whoever finds the keeper with the other process finds in it which was the first one. */
  #move(
    worker: number,
    o: { readonly known: Known; readonly pid: number; readonly message: NotifyMessage; readonly claim: MainClaim },
  ): void {
    const { known, pid, message } = o;
    const claimed = claimMain(o.claim, {
      fds: message.fds,
      worker: this.#receiverOf(known, pid),
      byRoot: message.uid === 0,
      others: this.#othersThan(pid),
    });
    const { phase } = this.#o.find(worker)?.state ?? { phase: "gone" };
    const late = phase === "sweeping" || phase === "gone";
    const moved =
      typeof claimed === "string" ? Promise.resolve(claimed) : this.#goOn(worker, { known, pid, claimed, late });
    moved.then(
      (why) => why === undefined || this.#refuseMain(message, why),
      (error: Error) => this.#o.world.log.error(`${known.key}: MAINPID: ${error.message}`, { error }),
    );
  }

  /** As its pid file says, after the end of the process so far. Resolves with why not, to be put after "it ". */
  async follow(worker: number, pid: number): Promise<string | undefined> {
    const known = this.#workers.get(worker);
    const receiver = this.receiver(worker);
    if (known === undefined || receiver === undefined) return "is nobody's";
    const others = this.#othersThan(receiver.pid);
    const orphansOf = this.#o.world.keeperPid;
    const claimed = claimMain({ pid }, { fds: [], worker: receiver, byRoot: false, others, orphansOf });
    if (typeof claimed === "string") return claimed;
    return this.#goOn(worker, { known, pid: receiver.pid, claimed, late: false });
  }

  #othersThan(pid: number): ReadonlySet<number> {
    const { knownPids, keeperPid } = this.#o.world;
    const others = knownPids().add(keeperPid).add(process.pid);
    others.delete(pid);
    return others;
  }

  async #goOn(
    worker: number,
    o: { readonly known: Known; readonly pid: number; readonly claimed: ClaimedMain; readonly late: boolean },
  ): Promise<string | undefined> {
    const { known, pid, claimed } = o;
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
    known.tag = { ...known.tag, moved };
    this.#unwritten.add(worker);
    this.#write();
    const errno = await this.#o.moves.ask(worker, known.key, claimed);
    if (errno === undefined) return undefined;
    if (known.tag.moved === moved) {
      const { moved: _, ...tag } = known.tag;
      known.tag = { ...tag, ...(before.moved === undefined ? {} : { moved: before.moved }) };
      if (before.pid !== undefined) known.pid = before.pid;
      this.#unwritten.add(worker);
      this.#write();
    }
    return `was refused by the keeper (${errnoInWords(errno)})`;
  }

  #refuseMain({ pid }: NotifyMessage, why: string): void {
    const words = `the main process that pid ${pid} has named ${why}; the one so far stays`;
    this.#complaints.add("notify-mainpid-refused", words);
  }

  #remember(worker: number, notice: Notice): void {
    const { status, errno, exitStatus, access, reloading, ready, stopping } = notice;
    this.#note(worker, {
      ...(status === undefined ? {} : { status: cutStatus(status) }),
      ...(errno === undefined ? {} : { errno }),
      ...(exitStatus === undefined ? {} : { exitStatus }),
      ...(access === undefined ? {} : { access }),
      ...(reloading === undefined ? {} : { reloading: true }),
      ...(ready ? { ready: true } : {}),
      ...(stopping ? { stopping: true } : {}),
    });
    if (ready) this.#forgetSaid(worker, "reloading");
    if (status === "") this.#forgetSaid(worker, "status");
  }

  #tell(worker: number, notice: Notice): void {
    const { emit, reloads } = this.#o;
    const { reloading, ready, stopping, extendMs, watchdogMs, alive, unwell, restartReset } = notice;
    if (extendMs !== undefined) {
      emit(worker, { type: "extend", byMs: extendMs });
      reloads.extend(worker, extendMs);
    }
    if (reloading !== undefined) reloads.begun(worker, reloading.at);
    if (watchdogMs !== undefined) emit(worker, { type: "watchdog", everyMs: watchdogMs });
    if (ready) {
      emit(worker, { type: "announced", by: "notify" });
      reloads.ready(worker);
    }
    if (restartReset) emit(worker, { type: "forgive" });
    if (stopping) emit(worker, { type: "leaving" });
    if (alive) emit(worker, { type: "alive" });
    if (unwell) emit(worker, { type: "unwell" });
  }

  #keep(worker: number, { store, remove }: Notice, { fds }: NotifyMessage): void {
    const slot = this.#workers.get(worker)?.tag.slot;
    if (slot === undefined) return;
    if (remove !== undefined) this.#o.store.remove(slot, remove);
    if (store !== undefined) this.#o.store.add(slot, fds.splice(0), store);
  }

  #note(worker: number, news: Said): void {
    const said = this.of(worker);
    const changed = Object.entries(news).some(([name, value]) => said[name as keyof Said] !== value);
    if (changed) this.#setSaid(worker, { ...said, ...news });
  }

  #forgetSaid(worker: number, name: keyof Said): void {
    const { [name]: was, ...rest } = this.of(worker);
    if (was !== undefined) this.#setSaid(worker, rest);
  }

  /** Written once for all that comes in one turn of the event loop: a worker may say a thousand things a second. */
  #setSaid(worker: number, said: Said): void {
    const known = this.#workers.get(worker);
    if (known === undefined) return;
    known.tag = { ...known.tag, said };
    if (this.#unwritten.size === 0) setImmediate(() => this.#write()).unref();
    this.#unwritten.add(worker);
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
