import type { NotifyDropReason, NotifyMessage } from "../../../ancillary/index.js";
import type { Worker, WorkerEvent } from "../../lifecycle/worker.js";
import { type NotifyReceiver, speaksFor } from "../notify-sender.js";
import type { ServiceSetup } from "../service-setup.js";
import type { MovedMain, WorkerTag } from "../service-store.js";
import type { ServiceWorld } from "../service-world.js";
import { Complaints } from "./complaints.js";
import type { FdStore } from "./fd-store.js";
import { type KnownWorker, KnownWorkers } from "./known-workers.js";
import { MainClaims } from "./main-claims.js";
import type { MainMoves } from "./main-moves.js";
import { type Notice, readNotice } from "./notice.js";
import { cutStatus, lastWords, malformedIn, type Said } from "./said.js";
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

const DROPPED: Readonly<Record<NotifyDropReason, string>> = {
  "no-credentials": "came without the credentials of its sender",
  truncated: "lost descriptors on its way",
  "too-large": "has more than 4096 bytes",
  malformed: "has no line NAME=value, or a NUL",
};

/** What the workers of one service say on their notify sockets: who may speak, what it means, and what is kept of it. */
export class WorkerNotices {
  readonly #o: NoticesInput;
  readonly #known: KnownWorkers;
  readonly #complaints: Complaints;
  readonly #claims: MainClaims;

  constructor(input: NoticesInput) {
    this.#o = input;
    this.#complaints = new Complaints(input.world, () => input.setup().config.name);
    this.#known = new KnownWorkers(input);
    this.#claims = new MainClaims({ ...input, known: this.#known, complaints: this.#complaints });
  }

  /** `tag` has what an earlier supervisor has heard. */
  open(worker: number, key: string, tag: WorkerTag): void {
    this.#known.open(worker, key, tag);
  }

  /** The keeper has told its pid, which the machine may not know yet. */
  started(worker: number, pid: number): void {
    const known = this.#known.of(worker);
    if (known !== undefined) known.pid = pid;
  }

  /** `process`: the inode of a pidfd of its main process, of whoever is its parent. */
  identify(worker: number, pid: number, process: bigint): void {
    const known = this.#known.of(worker);
    if (known !== undefined) known.identity = { pid, process };
  }

  forget(worker: number): void {
    this.#known.forget(worker);
    this.#o.reloads.ended(worker);
  }

  of(worker: number): Said {
    return this.#known.of(worker)?.tag.said ?? {};
  }

  /** Which processes are its own, if it goes on with another one than it was started as. */
  moved(worker: number): MovedMain | undefined {
    return this.#known.of(worker)?.tag.moved;
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
    const known = this.#known.of(worker);
    if (known === undefined) return undefined;
    if (this.#known.pid(worker) === undefined) return "later";
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
    const receiver = this.#known.receiver(worker);
    if (receiver === undefined || !this.#maySpeak(known, receiver, message)) return undefined;
    const notice = readNotice(message.fields);
    if (notice.malformed.length > 0) {
      const what = malformedIn(message, notice);
      this.#complaints.add(
        "notify-malformed-values",
        `pid ${message.pid} said ${what}, which means nothing and was left out`,
      );
    }
    if (notice.main !== undefined) this.#claims.hear(worker, message, notice.main);
    this.#remember(worker, notice);
    this.#tell(worker, notice);
    this.#keep(worker, notice, message);
    return undefined;
  }

  #maySpeak(known: KnownWorker, receiver: NotifyReceiver, message: NotifyMessage): boolean {
    const { config } = this.#o.setup();
    const { pid } = receiver;
    if (!speaksFor(message, receiver)) {
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
    const known = this.#known.of(worker);
    if (known !== undefined)
      this.#drop(known, reason, `a message on its notify socket was dropped, since it ${DROPPED[reason]}`);
  }

  #drop(known: KnownWorker, kind: string, words: string): void {
    this.#complaints.add(`notify-${kind}`, words);
    known.unheard = words;
  }

  /** Of one that did not become ready in time: the last message of which nothing was heard. */
  unheard(worker: number): string | undefined {
    return this.#known.of(worker)?.unheard;
  }

  /** Who is its own; undefined: its pid is not told yet. */
  receiver(worker: number): NotifyReceiver | undefined {
    return this.#known.receiver(worker);
  }

  /** As its pid file says, after the end of the process so far. Resolves with why not, to be put after "it ". */
  follow(worker: number, pid: number): Promise<string | undefined> {
    return this.#claims.follow(worker, pid);
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
    const slot = this.#known.of(worker)?.tag.slot;
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

  #setSaid(worker: number, said: Said): void {
    const known = this.#known.of(worker);
    if (known !== undefined) this.#known.note(worker, { ...known.tag, said });
  }
}
