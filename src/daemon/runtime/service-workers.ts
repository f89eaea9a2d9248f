import { randomBytes } from "node:crypto";
import { NotifySocket, type OwnedFd } from "../../ancillary/index.js";
import type { ReloadPolicy, ServiceConfig, SocketConfig } from "../config/config.js";
import { isWanted } from "../lifecycle/end.js";
import type { Worker, WorkerEffect, WorkerEvent } from "../lifecycle/worker.js";
import { eventsOf } from "./child-events.js";
import { keepWords } from "./commands/keep-words.js";
import { socketUseOf } from "./connections/socket-use.js";
import { socketUseInWords } from "./connections/socket-use-words.js";
import { kernelTellsConnections } from "./connections/sockets-look.js";
import { wordsOf } from "./drain/valve-finder.js";
import { WorkerDrains } from "./drain/worker-drains.js";
import { EndedWorkers } from "./ended-workers.js";
import { WorkerHandoffs } from "./handoff/worker-handoffs.js";
import { WorkerHooks } from "./hooks/worker-hooks.js";
import { KeeperError } from "./keeper/keeper-error.js";
import type { ArmRecord, ChildRecord, ListedChild } from "./keeper/records.js";
import { WorkerLeavings } from "./left-behind/worker-leavings.js";
import { waitsForSocket } from "./listening.js";
import { type DrainedLogs, settleDrained, takeDrained } from "./logs/drained-logs.js";
import type { LogRing } from "./logs/log-ring.js";
import type { LogSink } from "./logs/log-sink.js";
import { FdStore } from "./notify/fd-store.js";
import { MainMoves } from "./notify/main-moves.js";
import { PidFiles } from "./notify/pid-files.js";
import type { Said } from "./notify/said.js";
import { WorkerNotices } from "./notify/worker-notices.js";
import { type Reloaded, WorkerReloads } from "./notify/worker-reloads.js";
import { WorkerHealth } from "./probe/worker-health.js";
import { WorkerProbes } from "./probe/worker-probes.js";
import { closeMembers } from "./process-tree.js";
import type { ServiceSetup } from "./service-setup.js";
import { decodeWorkerTag, ownProcesses, type WorkerTag, workerKey } from "./service-store.js";
import type { ServiceWorld } from "./service-world.js";
import { planStart, type StartPlan, StartPlanError } from "./start-plan.js";
import { signalNumber } from "./words.js";
import { sortKept, WorkerResources } from "./worker-resources.js";
import { WorkerTree } from "./worker-tree.js";

/** Errnos of the keeper that mean "what you ask for is so already". */
const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const SIGKILL = 9;
const SIGTERM = 15;
/** The stage that `start-failed` names when the keeper was never asked. */
const PREPARE = 0;
/** Pauses between two looks at whether a worker waits for its sockets. One look costs about as much as a read of three files per process. */
const FIRST_LOOK_MS = 4;
const LONGEST_LOOK_MS = 64;
/** A worker that has never said RELOADING=1 is not waited for any longer. */
const RELOADING_WITHIN_MS = 2_000;
/** What a failure keeps of the worker's last words: it must fit the state that the keeper holds. */
const FAILURE_LINES = 10;
const FAILURE_LINE_CHARACTERS = 400;

export interface WorkersInput {
  /** What is in force now. */
  readonly setup: () => ServiceSetup;
  readonly world: ServiceWorld;
  readonly ring: LogRing;
  /** Of a worker that is opened now. undefined: it inherits our stdout and stderr. */
  readonly sink: () => LogSink | undefined;
  /** The machine's knowledge of a worker. */
  readonly find: (worker: number) => Worker | undefined;
  /** All processes of workers that accept connections, now or soon. */
  readonly acceptors: () => readonly number[];
  /** Whether the keeper has a start of this instance that it may carry out at any time. */
  readonly isAwaited: (slot: number) => boolean;
  readonly emit: (worker: number, event: WorkerEvent, lines: readonly string[]) => void;
}

/** The workers of one service in the world: starts them, hears them, signals them, ends their trees. Decides nothing. */
export class ServiceWorkers {
  readonly #o: WorkersInput;
  readonly #resources = new Map<number, WorkerResources>();
  readonly #drains: WorkerDrains;
  readonly #probes: WorkerProbes;
  readonly #health: WorkerHealth;
  readonly #hooks: WorkerHooks;
  readonly #leavings: WorkerLeavings;
  readonly #remarks = new Map<number, string>();
  readonly #handoffs: WorkerHandoffs;
  #logBytesDropped = 0;
  readonly #ended: EndedWorkers;
  readonly #notices: WorkerNotices;
  readonly #reloads: WorkerReloads;
  readonly #moves: MainMoves;
  readonly #pidFiles: PidFiles;
  readonly #store: FdStore;

  constructor(input: WorkersInput) {
    this.#o = input;
    this.#handoffs = new WorkerHandoffs({
      setup: input.setup,
      world: input.world,
      find: input.find,
      receiver: (worker) => this.#notices.receiver(worker),
      // READY=1 by another way.
      ready: (worker) => this.#emit(worker, { type: "announced", by: "notify" }),
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
    this.#reloads = new WorkerReloads(input.world.clock, (worker) => this.#resources.get(worker)?.drainNotify());
    this.#moves = new MainMoves({
      keeper: input.world.keeper,
      ended: (worker, record) => this.#tell(worker, record),
    });
    this.#notices = new WorkerNotices({
      setup: input.setup,
      world: input.world,
      find: input.find,
      emit: (worker, event) => this.#emit(worker, event),
      store: this.#store,
      reloads: this.#reloads,
      moves: this.#moves,
    });
    this.#pidFiles = new PidFiles({
      path: () => this.#config.pidFile,
      phase: (worker) => input.find(worker)?.state.phase,
      treeIsEmpty: (worker) => this.#tree(worker, false)?.isEmpty() ?? true,
      follow: (worker, pid) => this.#notices.follow(worker, pid),
      remark: (worker, words) => {
        if (words === undefined) this.#remarks.delete(worker);
        else this.#remarks.set(worker, words);
      },
      ended: (worker, record) => this.#emitEnd(worker, record),
    });
    const asking = {
      setup: input.setup,
      sockets: input.world.sockets,
      commands: input.world.commands,
      pids: (worker: number) => this.pids(worker),
    };
    this.#health = new WorkerHealth({
      ...asking,
      changed: (worker, reason) =>
        this.#o.emit(worker, { type: "health", ok: reason === undefined }, reason === undefined ? [] : [reason]),
      log: input.world.log,
    });
    this.#hooks = new WorkerHooks({
      setup: input.setup,
      commands: input.world.commands,
      ring: input.ring,
      log: input.world.log,
      find: input.find,
      over: (worker, hook, ok, lines) => input.emit(worker, { type: "hooks", hook, ok }, lines),
    });
    this.#leavings = new WorkerLeavings({
      service: input.setup().config.name,
      log: input.world.log,
      leftBehind: () => input.world.leftBehind,
      treeOf: (worker) => this.#tree(worker, true),
      slotOf: (worker) => input.find(worker)?.slot ?? 0,
      signsOf: (worker) => this.#signs(worker),
      resourcesOf: (worker) => this.#resources.get(worker),
    });
    this.#probes = new WorkerProbes({
      ...asking,
      answered: (worker) => this.#emit(worker, { type: "announced", by: "probe" }),
    });
    this.#drains = new WorkerDrains({
      setup: input.setup,
      world: input.world,
      find: input.find,
      pids: (worker) => this.pids(worker),
      others: input.acceptors,
      handoffs: this.#handoffs,
      emit: (worker, event) => this.#emit(worker, event),
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
    const { keeper } = this.#o.world;
    switch (effect.type) {
      case "spawn":
        return this.#start(worker, (plan) => keeper.spawn(plan.request, plan.fds));
      case "arm": {
        const { sockets } = this.#o.setup();
        const lane = this.#o.find(worker)?.lane;
        return this.#start(worker, (plan) => {
          return keeper.arm(
            plan.request,
            plan.fds,
            sockets.flatMap((socket) => this.#o.world.sockets.keys(socket, lane)),
          );
        });
      }
      case "disarm":
        return this.#disarm(worker);
      case "signal": {
        this.#probes.stop(worker);
        if (this.#config.stop.kill === "process") this.#leavings.remember(worker);
        const signal = signalNumber(effect.signal) ?? SIGTERM;
        return this.#send(`send ${effect.signal}`, keeper.signal(this.#key(worker), signal), [ESRCH, ENOENT]);
      }
      case "kill-tree":
        this.#probes.stop(worker);
        this.#remarkSockets(worker);
        return this.#killTree(worker, true);
      case "kill-main":
        this.#probes.stop(worker);
        this.#remarkSockets(worker);
        this.#leavings.remember(worker);
        return this.#send("kill", keeper.signal(this.#key(worker), SIGKILL), [ESRCH, ENOENT]);
      case "observe":
        return this.#observe(worker, FIRST_LOOK_MS);
      case "find-valve":
        return this.#drains.findValve(worker);
      case "close-valve":
        return this.#drains.close(worker);
      case "open-valve":
        return this.#drains.open(worker);
      case "close-connections": // Whoever looks at them sees it in the state.
        return;
      case "sweep":
        return this.#sweep(worker, effect.signal);
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
    this.#killTree(id, state.phase !== "sweeping");
  }

  /** Opens again what the keeper kept for a worker of an earlier supervisor. */
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
    this.#open(worker, record.key, tag, { notify, pipes, drained, adopted });
    if (process !== undefined && "state" in record) this.#notices.identify(worker, record.pid, process);
  }

  /** Of a worker whose lines go nowhere we know of, the keeper goes on to read what it writes. */
  async #takeLogs(key: string, tag: WorkerTag): Promise<DrainedLogs> {
    const { keeper } = this.#o.world;
    const sink = this.#o.sink();
    if (sink === undefined) return {};
    const drained = await takeDrained(keeper, key, tag.keep);
    for (const { dropped } of Object.values(drained)) this.#logBytesDropped += dropped;
    setImmediate(() => {
      const settled = sink.written().then(() => settleDrained(keeper, key, tag.keep));
      settled.catch((error: Error) => this.#complain(`settle what the keeper read: ${error.message}`, error));
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

  /** The keeper forgets an armed start that no state knows. */
  dropArm(arm: ArmRecord): void {
    this.#send("drop an armed start that no state knows", this.#o.world.keeper.disarm(arm.key), [ENOENT]);
  }

  /** The keeper's news of a worker. What the worker itself said before is heard first. */
  hear(worker: number, record: ChildRecord): void {
    if (record.process !== undefined) this.#notices.identify(worker, record.pid, record.process);
    this.#resources.get(worker)?.drainNotify();
    if (!this.#moves.isPast(worker, record)) this.#tell(worker, record);
  }

  #tell(worker: number, record: ChildRecord): void {
    for (const event of eventsOf(record)) {
      if (event.type === "exited" && this.#pidFiles.holds(worker, record)) return;
      this.#emit(worker, event);
    }
  }

  #emitEnd(worker: number, record: ChildRecord): void {
    const end = eventsOf(record).find(({ type }) => type === "exited");
    if (end !== undefined) this.#emit(worker, end);
  }

  /** Hears what all workers have said by now. */
  listen(): void {
    this.#handoffs.begin();
    for (const resources of this.#resources.values()) resources.drainNotify();
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
    return this.#resources.size;
  }

  /** Those that the machine has forgotten, or an earlier one had. */
  get ended(): EndedWorkers {
    return this.#ended;
  }

  /** What workers have left for their successors. */
  get store(): FdStore {
    return this.#store;
  }

  /** Tells a ready worker to read its configuration again, and waits where it is one that says when it has. */
  async reload(worker: Worker, policy: ReloadPolicy): Promise<Reloaded> {
    const { timeoutMs, wait } = policy;
    const { when } = this.#config.ready;
    const notifies = when === "notify" || (when === "auto" && this.saidBy(worker.id).ready === true);
    // With `auto` nobody has promised that it says RELOADING=1: gunicorn says READY=1 and never that.
    const patienceMs = when === "auto" ? Math.min(timeoutMs, RELOADING_WITHIN_MS) : timeoutMs;
    const waiting = wait && notifies ? this.#reloads.wait(worker.id, { timeoutMs, patienceMs }) : undefined;
    const bad = await (policy.command === undefined
      ? this.#signalReload(worker.id, policy.signal)
      : this.#commandReload(worker, policy.command, timeoutMs));
    if (bad !== undefined) return bad;
    const how = (await waiting) ?? "sent";
    return how === "silent" && when === "auto" ? "sent" : how;
  }

  async #signalReload(worker: number, signal: string | undefined): Promise<Reloaded | undefined> {
    try {
      await this.#o.world.keeper.signal(this.#key(worker), signalNumber(signal ?? "") ?? 0);
      return undefined;
    } catch (error) {
      if (!(error instanceof KeeperError)) throw error;
      const how = this.#howEnded(worker);
      this.#reloads.ended(worker, how);
      return how;
    }
  }

  /** Of one whose end the machine may not have heard of yet. */
  #howEnded(worker: number): "ended" | "retired" {
    return isWanted(this.#o.find(worker)?.reason) ? "retired" : "ended";
  }

  async #commandReload(worker: Worker, argv: readonly string[], timeoutMs: number): Promise<Reloaded | undefined> {
    const { commands } = this.#o.world;
    const { signal } = new AbortController(); // Nobody takes a reload back.
    const command = { service: this.#config, purpose: "reload", argv, timeoutMs, signal };
    const { problem, said } = await commands.about(worker, command);
    const service = this.#config.name;
    keepWords(this.#o.ring, { service, instance: `${service}/${worker.slot}`, worker: worker.id }, said);
    return problem === undefined ? undefined : { problem };
  }

  close(): void {
    this.#drains.closeAll();
    this.#hooks.closeAll();
    this.#reloads.closeAll();
    this.#pidFiles.close();
    this.#store.close();
    this.#handoffs.close();
    this.#probes.closeAll();
    this.#health.closeAll();
    for (const resources of this.#resources.values()) resources.close();
    this.#resources.clear();
  }

  #start(worker: number, ask: (plan: StartPlan) => Promise<void>): void {
    const { world } = this.#o;
    const { config, sockets } = this.#o.setup();
    const notify = NotifySocket.bind();
    let plan: StartPlan;
    try {
      plan = planStart({
        service: config,
        slot: this.#o.find(worker)?.slot ?? 0,
        worker,
        invocation: randomBytes(16).toString("hex"),
        notify,
        stored: this.#store.forStart(this.#o.find(worker)?.slot ?? 0),
        sockets: sockets.map((socket) => ({ name: socket.name, keys: this.#keysOf(socket, worker) })),
        configFile: world.configFile,
        own: world.environment,
        tell: (words) => world.log.info(`${config.name}: ${words}`),
      });
    } catch (error) {
      notify.close();
      if (!(error instanceof StartPlanError)) throw error;
      return this.#neverAsked(worker, error.errno, error.message);
    }
    for (const socket of sockets) {
      // A program that has ended may have set O_NONBLOCK, and the next one may count on accept(2) to wait. One that runs may count on it not to.
      if (!world.isInUse(socket.name)) world.sockets.makeBlocking(socket);
    }
    const asked = ask(plan); // Before `#open`, which takes the pipes over: the frame carries duplicates of them.
    this.#open(worker, plan.request.key, plan.tag, { notify, pipes: plan.pipes });
    for (const fd of plan.theirs) fd.close();
    asked.catch((error: Error) => {
      // EEXIST: it was asked for before a crash of the supervisor, and its own news is on the way.
      if (error instanceof KeeperError && error.errno === EEXIST) return;
      this.#neverAsked(worker, error instanceof KeeperError ? error.errno : 0, error.message);
    });
  }

  /** A lane that cannot be opened is a reason why the worker cannot be started. */
  #keysOf(socket: SocketConfig, worker: number): readonly string[] {
    try {
      return this.#o.world.sockets.keys(socket, this.#o.find(worker)?.lane);
    } catch (error) {
      throw new StartPlanError((error as Error).message, 0, { cause: error });
    }
  }

  #neverAsked(worker: number, errno: number, message: string): void {
    this.#handoffs.leave(worker);
    const lines = [`holdfast: ${message}`];
    this.#hooks.keepLines(worker, lines);
    this.#o.emit(worker, { type: "start-failed", stage: PREPARE, errno }, lines);
  }

  #disarm(worker: number): void {
    this.#o.world.keeper.disarm(this.#key(worker)).then(
      () => {
        this.#resources.get(worker)?.close();
        this.#resources.delete(worker);
        this.#notices.forget(worker);
        this.#handoffs.leave(worker);
        this.#emit(worker, { type: "disarmed", inTime: true });
      },
      (error: Error) => {
        if (!(error instanceof KeeperError)) return this.#complain(`disarm: ${error.message}`, error);
        this.#emit(worker, { type: "disarmed", inTime: false });
      },
    );
  }

  /** Nothing tells when a program begins to wait for its sockets, so this looks again, with growing pauses. */
  #observe(worker: number, pauseMs: number): void {
    const found = this.#o.find(worker);
    if (found?.pid === undefined || found.state.phase !== "warming") return;
    if (this.#config.ready.when === "probe") return this.#probes.start(found);
    const sockets = this.#o.setup().sockets.flatMap((socket) => this.#o.world.sockets.inodes(socket, found.lane));
    const waiting = waitsForSocket(found.pid, sockets);
    if (waiting === "yes") return this.#emit(worker, { type: "announced", by: "listening" });
    if (waiting === "not-permitted") return this.#emit(worker, { type: "unobservable" });
    setTimeout(() => this.#observe(worker, Math.min(pauseMs * 2, LONGEST_LOOK_MS)), pauseMs).unref();
  }

  #sweep(worker: number, signal: string): void {
    const tree = this.#tree(worker, false);
    if (tree === undefined || tree.isEmpty()) return this.#emit(worker, { type: "gone" });
    this.#o.world.log.warn(`worker ${worker} of ${this.#config.name} left processes behind: ${signal} to them`);
    const number = signalNumber(signal) ?? SIGKILL;
    const swept = number === SIGKILL ? this.#kill(tree) : tree.tell(number);
    swept.then(
      () => this.#emit(worker, { type: "gone" }),
      (error: Error) => this.#complain(`sweep: ${error.message}`, error),
    );
  }

  #killTree(worker: number, withMain: boolean): void {
    const tree = this.#tree(worker, withMain);
    // The keeper reaches also one that has not executed yet and whose pid nobody has told us.
    const { keeper } = this.#o.world;
    if (tree === undefined) return this.#send("kill", keeper.signal(this.#key(worker), SIGKILL), [ESRCH, ENOENT]);
    this.#kill(tree).catch((error: Error) => this.#complain(`kill: ${error.message}`, error));
  }

  async #kill(tree: WorkerTree): Promise<void> {
    const { refused } = await tree.kill();
    if (refused.length > 0) this.#complain(`not permitted to kill its processes ${refused.join(", ")}`);
  }

  /** By what its processes are known. */
  #signs(worker: number) {
    const pid = this.#o.find(worker)?.pid;
    const resources = this.#resources.get(worker);
    if (pid === undefined || resources === undefined) return undefined;
    const moved = this.#notices.moved(worker);
    const { adopted, mark, tag } = resources;
    return {
      session: moved?.leader ?? pid,
      own: ownProcesses(moved),
      mark,
      ...(adopted ? { adopted } : {}),
      ...(tag.reaper === undefined ? {} : { reaper: tag.reaper }),
    };
  }

  /** @param withMain the worker's own process has not been reaped */
  #tree(worker: number, withMain: boolean): WorkerTree | undefined {
    const pid = this.#o.find(worker)?.pid;
    const signs = this.#signs(worker);
    if (pid === undefined || signs === undefined) return undefined;
    const { keeperPid, knownPids } = this.#o.world;
    const main = withMain ? { mainPid: pid } : {};
    return new WorkerTree(() => {
      const except = knownPids();
      except.delete(pid);
      return { ...main, ...signs, keeperPid, except };
    });
  }

  /** Of its whole tree. */
  pids(worker: number): readonly number[] {
    const members = this.#tree(worker, true)?.members() ?? [];
    closeMembers(members);
    return members.map(({ pid }) => pid);
  }

  /** Sends a worker's event to the machine, with its last words where an end needs explaining. */
  #emit(worker: number, event: WorkerEvent): void {
    const resources = this.#resources.get(worker);
    const ends = event.type === "gone" || event.type === "start-failed";
    if (ends) resources?.close();
    if (ends) this.#handoffs.leave(worker);
    if (event.type === "exited") this.#reloads.ended(worker, this.#howEnded(worker));
    const remark = ends ? this.#remark(worker) : undefined;
    const said = ends ? (resources?.lastLines(FAILURE_LINES) ?? []) : [];
    const words = remark === undefined ? said : [...said.slice(1 - FAILURE_LINES), `holdfast: ${remark}`];
    const lines = words.map((line) => line.slice(0, FAILURE_LINE_CHARACTERS));
    if (ends) this.#hooks.keepLines(worker, lines);
    this.#o.emit(worker, event, lines);
    if (event.type !== "started") return;
    this.#notices.started(worker, event.pid);
    this.#handoffs.started(worker);
    if (this.#notices.moved(worker)?.main === event.pid) this.#emit(worker, { type: "announced", by: "pid-file" });
    resources?.drainNotify(); // What it has said before waits there.
  }

  /** Of one that has not become ready and is killed for it: what it listens on instead of what it was given. */
  #remarkSockets(worker: number): void {
    const found = this.#o.find(worker);
    if (found?.reason !== "ready-timeout") return;
    const { sockets } = this.#o.world;
    const given = this.#o.setup().sockets;
    if (given.length === 0 || !kernelTellsConnections()) return;
    const inodes = given.flatMap((socket) => sockets.inodes(socket, found.lane));
    const addresses = given.flatMap(({ listenText }) => listenText);
    try {
      const words = socketUseInWords(socketUseOf(this.pids(worker), inodes), addresses);
      if (words !== undefined) this.#remarks.set(worker, words);
    } catch (error) {
      // Only the remark is missing then; the worker is killed all the same.
      this.#complain(`could not look at the sockets of worker ${worker}: ${(error as Error).message}`, error as Error);
    }
  }

  /** Why it did not become ready, as far as can be seen from outside, and what it said of its end; forgotten then. */
  #remark(worker: number): string | undefined {
    const seen = [
      this.#hooks.reason(worker),
      this.#probes.end(worker),
      this.#remarks.get(worker),
      this.#notices.lastWords(worker),
      this.#o.find(worker)?.reason === "ready-timeout" ? this.#notices.unheard(worker) : undefined,
    ];
    this.#remarks.delete(worker);
    return seen.filter((words) => words !== undefined).join("; ") || undefined;
  }

  #forget(worker: number): void {
    const resources = this.#resources.get(worker);
    if (resources === undefined) return; // It never reached the keeper.
    resources.close();
    this.#resources.delete(worker);
    this.#notices.forget(worker);
    this.#ended.forget(worker, resources.key);
  }

  #open(
    worker: number,
    key: string,
    tag: WorkerTag,
    o: {
      readonly notify: NotifySocket;
      readonly pipes: StartPlan["pipes"];
      /** Of one that an earlier supervisor started. */
      readonly drained?: DrainedLogs;
      /** Of one that another keeper started. */
      readonly adopted?: boolean;
    },
  ): void {
    const { ring } = this.#o;
    const { notify, pipes, drained, adopted = false } = o;
    const sink = this.#o.sink();
    const resources = new WorkerResources({
      key,
      tag,
      notify,
      pipes,
      ring,
      sink,
      drained: drained ?? {},
      adopted,
      listener: {
        notified: (message) => this.#notices.hear(worker, message),
        announced: () => this.#emit(worker, { type: "announced", by: "newline" }),
        dropped: (reason) => this.#notices.dropped(worker, reason),
      },
    });
    this.#resources.set(worker, resources);
    this.#notices.open(worker, key, tag);
    if (pipes.channel !== undefined) this.#handoffs.join(worker, pipes.channel, drained !== undefined);
  }

  #send(what: string, asked: Promise<void>, expected: readonly number[]): void {
    asked.catch((error: Error) => {
      if (error instanceof KeeperError && expected.includes(error.errno)) return;
      this.#complain(`could not ${what}: ${error.message}`, error);
    });
  }

  #complain(message: string, error?: Error): void {
    this.#o.world.log.error(`${this.#config.name}: ${message}`, error === undefined ? {} : { error });
  }

  #key(worker: number): string {
    return workerKey(this.#config.name, this.#o.find(worker)?.slot ?? 0, worker);
  }
}
