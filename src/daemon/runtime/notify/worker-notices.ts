import type { NotifyMessage } from "../../../ancillary/index.js";
import type { NotifyAccess } from "../../config/config.js";
import type { Worker, WorkerEvent } from "../../lifecycle/worker.js";
import { resolveIdentity } from "../identity.js";
import { LINE_EACH, type NotifyReceiver, speaksFor } from "../notify-sender.js";
import { readStat } from "../process-stat.js";
import type { ServiceSetup } from "../service-setup.js";
import { encodeWorkerTag, type MovedMain, type WorkerTag } from "../service-store.js";
import type { ServiceWorld } from "../service-world.js";
import { errnoWords } from "../words.js";
import { type ClaimedMain, claimMain, type MainClaim } from "./claimed-main.js";
import type { FdStore } from "./fd-store.js";
import type { MainMoves } from "./main-moves.js";
import { type Notice, readNotice } from "./notice.js";
import type { WorkerReloads } from "./worker-reloads.js";

/** What a worker has said of itself and what has no part in its life's machine. Plain data: it is part of the worker's tag. */
export interface Said {
  readonly status?: string;
  readonly errno?: number;
  readonly exitStatus?: number;
  /** RELOADING=1, and no READY=1 since. */
  readonly reloading?: true;
  /** It has said READY=1. */
  readonly ready?: true;
  /** STOPPING=1. */
  readonly stopping?: true;
  /** Missing: as the configuration says. */
  readonly access?: NotifyAccess;
}

export interface NoticesInput {
  readonly setup: () => ServiceSetup;
  readonly world: ServiceWorld;
  readonly find: (worker: number) => Worker | undefined;
  readonly emit: (worker: number, event: WorkerEvent) => void;
  readonly store: FdStore;
  readonly reloads: WorkerReloads;
  readonly moves: Pick<MainMoves, "ask">;
}

/** STATUS= is cut to this. */
const STATUS_CHARACTERS = 400;

interface Known {
  readonly key: string;
  tag: WorkerTag;
  pid?: number;
}

/** What the workers of one service say on their notify sockets: who may speak, what it means, and what is kept of it. */
export class WorkerNotices {
  readonly #o: NoticesInput;
  readonly #workers = new Map<number, Known>();
  readonly #unwritten = new Set<number>();
  #foreign = 0;

  constructor(input: NoticesInput) {
    this.#o = input;
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
    this.#note(worker, { status: text.slice(0, STATUS_CHARACTERS) });
  }

  /** Its last words on how it ended, as far as they are not in its exit status. */
  lastWords(worker: number): string | undefined {
    const { status, errno, exitStatus } = this.of(worker);
    const words = [
      ...(errno === undefined || errno === 0 ? [] : [errnoInWords(errno)]),
      ...(exitStatus === undefined || exitStatus === 0 ? [] : [`exit status ${exitStatus}`]),
    ];
    if (words.length === 0) return undefined;
    return `it said of itself: ${[...words, ...(status === undefined ? [] : [status])].join(", ")}`;
  }

  /** `later`: only once its pid is told it is clear who is its. A program may have written over the mark in its environment. */
  hear(worker: number, message: NotifyMessage): "later" | undefined {
    const { world } = this.#o;
    const known = this.#workers.get(worker);
    if (known === undefined) return undefined;
    const pid = known.pid ?? this.#o.find(worker)?.pid;
    if (pid === undefined) return "later";
    if (!this.#maySpeak(known, pid, message)) return undefined;
    const notice = readNotice(message.fields);
    if (notice.malformed.length > 0) world.count("notify-malformed-values");
    if (notice.barrier) {
      // Its one descriptor is closed when we return, and so is whatever else nobody takes.
      if (message.fds.length !== 1) world.count("notify-barriers-refused");
      return undefined;
    }
    if (notice.main !== undefined) this.#move(worker, { known, pid, message, claim: notice.main });
    this.#remember(worker, notice);
    this.#tell(worker, notice);
    this.#keep(worker, notice, message);
    return undefined;
  }

  #maySpeak(known: Known, pid: number, message: NotifyMessage): boolean {
    const { world, setup } = this.#o;
    const { config } = setup();
    if (!speaksFor(message, this.#receiverOf(known, pid))) {
      world.count("notify-foreign");
      this.#foreign += 1;
      if (this.#foreign % LINE_EACH === 1) {
        world.log.warn(
          `${config.name}: a notify message of pid ${message.pid}, which is not of this worker, was dropped (${this.#foreign} so far)`,
        );
      }
      return false;
    }
    const access = known.tag.said?.access ?? config.notifyAccess ?? "all";
    // For "exec" as well: no process of control beside it is told where to speak.
    if (access === "all" || (access !== "none" && message.pid === pid)) return true;
    world.count("notify-refused");
    return false;
  }

  /** Who is its own; undefined: its pid is not told yet. */
  receiver(worker: number): NotifyReceiver | undefined {
    const known = this.#workers.get(worker);
    const pid = known?.pid ?? this.#o.find(worker)?.pid;
    return known === undefined || pid === undefined ? undefined : this.#receiverOf(known, pid);
  }

  #receiverOf({ tag }: Known, pid: number): NotifyReceiver {
    const uid = resolveIdentity(this.#o.setup().config).uid ?? process.getuid?.() ?? 0;
    return { pid, session: tag.moved?.leader ?? pid, uid, mark: `INVOCATION_ID=${tag.invocation}` };
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
    const { world, setup } = this.#o;
    world.count("notify-mainpid-refused");
    world.log.warn(`${setup().config.name}: the main process that pid ${pid} has named ${why}; the one so far stays`);
  }

  #remember(worker: number, notice: Notice): void {
    const { status, errno, exitStatus, access, reloading, ready, stopping } = notice;
    this.#note(worker, {
      ...(status === undefined ? {} : { status: status.slice(0, STATUS_CHARACTERS) }),
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

export function errnoInWords(errno: number): string {
  const { name, meaning } = errnoWords(errno);
  return `${name}: ${meaning}`;
}
