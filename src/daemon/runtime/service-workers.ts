import type { ReloadPolicy, ServiceConfig } from "../config/config.js";
import type { Outcome } from "../control/api.js";
import type { Worker, WorkerEffect, WorkerEvent } from "../lifecycle/worker.js";
import { wordsOf } from "./drain/valve-finder.js";
import { WorkerDrains } from "./drain/worker-drains.js";
import { EndedWorkers } from "./ended-workers.js";
import { WorkerHandoffs } from "./handoff/worker-handoffs.js";
import { WorkerHooks } from "./hooks/worker-hooks.js";
import type { ArmRecord, ChildRecord, ListedChild } from "./keeper/records.js";
import { WorkerLeavings } from "./left-behind/worker-leavings.js";
import { FdStore } from "./notify/fd-store.js";
import { MainMoves } from "./notify/main-moves.js";
import type { Said } from "./notify/said.js";
import { TellReload } from "./notify/tell-reload.js";
import { WorkerNotices } from "./notify/worker-notices.js";
import { WorkerReloads } from "./notify/worker-reloads.js";
import { WorkerHealth } from "./probe/worker-health.js";
import { WorkerProbes } from "./probe/worker-probes.js";
import { signalNumber } from "./words.js";
import { OpenWorkers } from "./workers/open-workers.js";
import { WorkerLastWords } from "./workers/worker-last-words.js";
import { WorkerNews } from "./workers/worker-news.js";
import { WorkerObservation } from "./workers/worker-observation.js";
import { WorkerReopening } from "./workers/worker-reopening.js";
import { WorkerSignals } from "./workers/worker-signals.js";
import { WorkerStarts } from "./workers/worker-starts.js";
import { WorkerTrees } from "./workers/worker-trees.js";
import type { WorkerEvents, WorkersInput } from "./workers/workers-input.js";

const SIGKILL = 9;
const SIGTERM = 15;

/** The workers of one service in the world: starts them, hears them, signals them, ends their trees. Decides nothing. */
export class ServiceWorkers {
  readonly #o: WorkersInput;
  readonly #open: OpenWorkers;
  readonly #starts: WorkerStarts;
  readonly #reopening: WorkerReopening;
  readonly #signals: WorkerSignals;
  readonly #trees: WorkerTrees;
  readonly #observation: WorkerObservation;
  readonly #lastWords: WorkerLastWords;
  readonly #drains: WorkerDrains;
  readonly #probes: WorkerProbes;
  readonly #health: WorkerHealth;
  readonly #hooks: WorkerHooks;
  readonly #leavings: WorkerLeavings;
  readonly #handoffs: WorkerHandoffs;
  #logBytesDropped = 0;
  readonly #ended: EndedWorkers;
  readonly #notices: WorkerNotices;
  readonly #reloads: WorkerReloads;
  readonly #tellReload: TellReload;
  readonly #moves: MainMoves;
  readonly #news: WorkerNews;
  readonly #store: FdStore;

  constructor(input: WorkersInput) {
    const emit: WorkerEvents = (worker, event) => this.#emit(worker, event);
    this.#o = input;
    this.#handoffs = new WorkerHandoffs({
      ...input,
      receiver: (worker) => this.#notices.receiver(worker),
      // READY=1 by another way.
      ready: (worker) => emit(worker, { type: "announced", by: "notify" }),
      status: (worker, text) => this.#notices.setStatus(worker, text),
    });
    this.#ended = new EndedWorkers({
      world: input.world,
      written: () => input.sink()?.written() ?? Promise.resolve(),
      dropped: (bytes) => {
        this.#logBytesDropped += bytes;
      },
    });
    this.#store = new FdStore({
      service: input.setup().config.name,
      world: input.world,
      limit: () => this.#config.fdStore ?? 0,
      isAwaited: input.isAwaited,
    });
    this.#reloads = new WorkerReloads(input.world.clock, (worker) => this.#open.of(worker)?.drainNotify());
    this.#moves = new MainMoves({
      keeper: input.world.keeper,
      ended: (worker, record) => this.#news.tell(worker, record),
    });
    this.#notices = new WorkerNotices({
      ...input,
      emit,
      store: this.#store,
      reloads: this.#reloads,
      moves: this.#moves,
    });
    this.#open = new OpenWorkers({
      ...input,
      notices: this.#notices,
      handoffs: this.#handoffs,
      announced: (worker) => emit(worker, { type: "announced", by: "newline" }),
    });
    this.#signals = new WorkerSignals(input);
    this.#trees = new WorkerTrees({ ...input, open: this.#open, notices: this.#notices, signals: this.#signals });
    this.#reopening = new WorkerReopening({
      ...input,
      open: this.#open,
      notices: this.#notices,
      dropped: (bytes) => {
        this.#logBytesDropped += bytes;
      },
    });
    this.#tellReload = new TellReload({ ...input, notices: this.#notices, reloads: this.#reloads });
    const asking = {
      setup: input.setup,
      sockets: input.world.sockets,
      commands: input.world.commands,
      pids: (worker: number) => this.#trees.pids(worker),
    };
    this.#health = new WorkerHealth({
      ...asking,
      changed: (worker, reason) =>
        input.emit(worker, { type: "health", ok: reason === undefined }, reason === undefined ? [] : [reason]),
      log: input.world.log,
    });
    this.#hooks = new WorkerHooks({
      ...input,
      commands: input.world.commands,
      log: input.world.log,
      over: (worker, hook, ok, lines) => input.emit(worker, { type: "hooks", hook, ok }, lines),
    });
    this.#leavings = new WorkerLeavings({ ...input, open: this.#open, trees: this.#trees });
    this.#probes = new WorkerProbes({
      ...asking,
      answered: (worker) => emit(worker, { type: "announced", by: "probe" }),
    });
    this.#observation = new WorkerObservation({ ...input, probes: this.#probes, emit });
    this.#starts = new WorkerStarts({
      ...input,
      store: this.#store,
      open: this.#open,
      handoffs: this.#handoffs,
      hooks: this.#hooks,
    });
    this.#lastWords = new WorkerLastWords({
      ...input,
      open: this.#open,
      trees: this.#trees,
      hooks: this.#hooks,
      probes: this.#probes,
      notices: this.#notices,
    });
    this.#news = new WorkerNews({
      ...input,
      open: this.#open,
      notices: this.#notices,
      moves: this.#moves,
      trees: this.#trees,
      lastWords: this.#lastWords,
      emit,
    });
    this.#drains = new WorkerDrains({
      ...input,
      pids: (worker) => this.#trees.pids(worker),
      others: input.acceptors,
      handoffs: this.#handoffs,
      emit,
    });
  }

  /** Its sockets are other ones: workers that have a channel get them at once. */
  offerSockets(): void {
    this.#handoffs.offer();
  }

  /** How many connections of a worker others have taken. */
  handedOver(worker: number): number {
    return this.#handoffs.handedOver(worker);
  }

  /** What could keep new connections from a worker now, in words. */
  valveInWords(worker: number): string {
    return wordsOf(this.#drains.valve(worker));
  }

  /** Of what workers logged while there was no supervisor. */
  get logBytesDropped(): number {
    return this.#logBytesDropped;
  }

  get #config(): ServiceConfig {
    return this.#o.setup().config;
  }

  perform(effect: WorkerEffect): void {
    const { worker } = effect;
    switch (effect.type) {
      case "spawn":
        return this.#starts.spawn(worker);
      case "arm":
        return this.#starts.arm(worker);
      case "disarm":
        return this.#starts.disarm(worker);
      case "signal": {
        this.#probes.stop(worker);
        if (this.#config.stop.kill === "process") this.#leavings.remember(worker);
        const signal = signalNumber(effect.signal) ?? SIGTERM;
        return this.#signals.send(worker, signal, `send ${effect.signal}`);
      }
      case "kill-tree":
        this.#probes.stop(worker);
        this.#lastWords.lookAtSockets(worker);
        return this.#trees.kill(worker, true);
      case "kill-main":
        this.#probes.stop(worker);
        this.#lastWords.lookAtSockets(worker);
        this.#leavings.remember(worker);
        return this.#signals.send(worker, SIGKILL, "kill");
      case "observe":
        return this.#observation.observe(worker);
      case "find-valve":
        return this.#drains.findValve(worker);
      case "close-valve":
        return this.#drains.close(worker);
      case "open-valve":
        return this.#drains.open(worker);
      case "close-connections": // Whoever looks at them sees it in the state.
        return;
      case "sweep":
        return this.#trees.sweep(worker, effect.signal, () => this.#emit(worker, { type: "gone" }));
      case "leave": {
        const left = this.#leavings.leave(worker);
        return this.#emit(worker, { type: "gone", ...(left === 0 ? {} : { left }) });
      }
      case "run-hooks":
        return this.#hooks.run(worker, effect.hook);
      case "end-hooks":
        return this.#hooks.end(worker);
      case "acknowledge":
        this.#hooks.forget(worker);
        return this.#forget(worker);
    }
  }

  /** SIGKILL to the whole tree of a worker, or to what its end has left of it. */
  kill({ id, state }: Worker): void {
    this.#hooks.end(id);
    if (state.phase === "preparing" || state.phase === "clearing") return; // There is no process of its own.
    this.#trees.kill(id, state.phase !== "sweeping");
  }

  /** Opens again what the keeper kept for a worker of an earlier supervisor. */
  reopen(worker: number, record: ListedChild | ArmRecord): Promise<void> {
    return this.#reopening.reopen(worker, record);
  }

  /** The keeper forgets an armed start that no state knows. */
  dropArm(arm: ArmRecord): void {
    this.#reopening.dropArm(arm);
  }

  /** The keeper's news of a worker. What the worker itself said before is heard first. */
  hear(worker: number, record: ChildRecord): void {
    this.#news.hear(worker, record);
  }

  /** Hears what all workers have said by now. */
  listen(): void {
    this.#handoffs.begin();
    this.#open.listen();
  }

  /** What a worker has said of itself. */
  saidBy(worker: number): Said {
    return this.#notices.of(worker);
  }

  /** The pid that it was started with, if its main process is another one by now. */
  startedAs(worker: number): number | undefined {
    return this.#notices.moved(worker)?.leader;
  }

  /** These are ready now. */
  followHealth(ready: readonly Worker[]): void {
    this.#health.follow(ready);
  }

  /** Why a worker counts as unhealthy; undefined: it does not. */
  unhealthy(worker: number): string | undefined {
    return this.#health.reason(worker);
  }

  /** So many have resources here: from their start, or the wait for it, to the end of their tree. */
  get count(): number {
    return this.#open.count;
  }

  /** Those that the machine has forgotten, or an earlier one had. */
  get ended(): EndedWorkers {
    return this.#ended;
  }

  /** What workers have left for their successors. */
  get store(): FdStore {
    return this.#store;
  }

  /** To the main processes of these. Resolves with how many got it. */
  signal(workers: readonly Worker[], signal: number): Promise<number> {
    return this.#signals.sendAll(workers, signal);
  }

  /** Tells these, which are ready, to read their configuration again, and waits for those that say when they have. */
  reload(workers: readonly Worker[], policy: ReloadPolicy): Promise<Pick<Outcome, "result" | "message">> {
    return this.#tellReload.tell(workers, policy);
  }

  close(): void {
    this.#drains.closeAll();
    this.#hooks.closeAll();
    this.#reloads.closeAll();
    this.#news.close();
    this.#store.close();
    this.#handoffs.close();
    this.#probes.closeAll();
    this.#health.closeAll();
    this.#open.closeAll();
  }

  /** All processes of its tree. */
  pids(worker: number): readonly number[] {
    return this.#trees.pids(worker);
  }

  /** Sends a worker's event to the machine, with its last words where an end needs explaining. */
  #emit(worker: number, event: WorkerEvent): void {
    const resources = this.#open.of(worker);
    const ends = event.type === "gone" || event.type === "start-failed";
    if (ends) resources?.close();
    if (ends) this.#handoffs.leave(worker);
    if (event.type === "exited") this.#tellReload.ended(worker);
    const lines = ends ? this.#lastWords.take(worker) : [];
    if (ends) this.#hooks.keepLines(worker, lines);
    this.#o.emit(worker, event, lines);
    if (event.type !== "started") return;
    this.#notices.started(worker, event.pid);
    this.#handoffs.started(worker);
    if (this.#notices.moved(worker)?.main === event.pid) this.#emit(worker, { type: "announced", by: "pid-file" });
    resources?.drainNotify(); // What it has said before waits there.
  }

  #forget(worker: number): void {
    const key = this.#open.forget(worker);
    if (key !== undefined) this.#ended.forget(worker, key);
  }
}
