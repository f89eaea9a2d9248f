import type { ReloadPolicy, ServiceConfig } from "../config/config.js";
import type { Outcome, ServiceView } from "../control/api.js";
import { stepService } from "../lifecycle/service.js";
import {
  newService,
  nextDeadline,
  type ServiceEffect,
  type ServiceEvent,
  type ServiceState,
  workersOf,
} from "../lifecycle/service-state.js";
import {
  acceptingOf,
  atWorkOf,
  hasStaleWorkers,
  isAtRest,
  isContinued,
  isStartAwaited,
  onlyServes,
  readyOf,
  workerOf,
} from "../lifecycle/standing.js";
import type { Worker } from "../lifecycle/worker.js";
import { type Answered, Askers } from "./askers.js";
import { DeadlineTimer } from "./deadline-timer.js";
import { RuntimeDirectories } from "./directories/runtime-directories.js";
import { FactReport } from "./fact-report.js";
import { IdleWatch } from "./idle-watch.js";
import type { ChildRecord } from "./keeper/records.js";
import type { ServiceOutput } from "./left-behind/remnant-output.js";
import type { LogRing } from "./logs/log-ring.js";
import { ServiceLog } from "./logs/service-log.js";
import { Mailbox } from "./mailbox.js";
import { RestartReceipts } from "./restart-receipts.js";
import { adoptWorkers, type KeeperTables } from "./service-adoption.js";
import { ServiceNote } from "./service-note.js";
import { isSteered, type ServiceSetup, versionOf } from "./service-setup.js";
import { areBound, socketProblemOf } from "./service-sockets.js";
import { decodeWorkerTag, encodeState, type WorkerTag } from "./service-store.js";
import { serviceView } from "./service-view.js";
import { ServiceWorkers } from "./service-workers.js";
import type { ServiceWorld } from "./service-world.js";
import { ServiceLanes } from "./steering/service-lanes.js";
import { awaitsSentence, failureView } from "./words.js";

/**
 * Effects that change nothing which a new supervisor would not see or do again by itself: a look, a sweep of what is left. They do not wait
 * for the state to be written; that happens once, at the end of the events at hand.
 */
const REPEATABLE: ReadonlySet<ServiceEffect["type"]> = new Set([
  "observe",
  "sweep",
  "leave",
  "find-valve",
  "steer",
  "look-into",
]);

/**
 * One service in the world: events go through the pure machine, its effects to keeper and kernel.
 *
 * The new state is written to the keeper before the effects of the step, on the same ordered channel; so a supervisor that
 * dies anywhere in between leaves a state whose effects either happened or are repeated by `adopt`.
 */
export class ServiceRuntime {
  readonly isNew: boolean;
  readonly byConnection: boolean = false;
  readonly #world: ServiceWorld;
  readonly #workers: ServiceWorkers;
  readonly #askers = new Askers();
  readonly #watchers = new Set<() => void>();
  readonly #mailbox = new Mailbox<ServiceEvent>((event) => this.#step(event));
  readonly #note: ServiceNote;
  readonly #timer: DeadlineTimer;
  #state: ServiceState;
  #closed = false;
  readonly #idle: IdleWatch;
  readonly #lanes: ServiceLanes;
  readonly #receipts: RestartReceipts;
  readonly #report: FactReport;
  readonly #log: ServiceLog;
  readonly #directories: RuntimeDirectories;
  #setup: ServiceSetup;
  #version: string;

  /** @param state what an earlier supervisor left; undefined: it was never started, and `boot` begins it */
  constructor(setup: ServiceSetup, world: ServiceWorld, state?: ServiceState) {
    const { config } = setup;
    this.#setup = setup;
    this.#version = versionOf(setup);
    this.isNew = state === undefined;
    this.#world = world;
    this.#state = state ?? newService(config);
    this.#note = new ServiceNote(config.name, world.keeper, (error) =>
      world.log.error(`${config.name}: the keeper did not take its state: ${error.message}`, { error }),
    );
    this.#timer = new DeadlineTimer(world.clock, () => {
      this.#workers.listen(); // READY=1, WATCHDOG=1 or EXTEND_TIMEOUT_USEC that came in time count, also where we are late.
      this.dispatch({ type: "deadline" });
    });
    this.#log = new ServiceLog(config, world);
    this.#directories = new RuntimeDirectories(world.log, workersOf(this.#state).length > 0);
    this.#idle = new IdleWatch({
      pids: () => (onlyServes(this.#state) ? this.acceptors() : undefined),
      listeners: () => this.#setup.sockets.flatMap((socket) => world.sockets.inodes(socket)).map(({ ino }) => ino),
      monotonic: () => world.clock.monotonic(),
      idle: () => this.dispatch({ type: "idle" }),
    });
    this.#watchIdle(config);
    this.#lanes = new ServiceLanes({
      sockets: world.sockets,
      setup: () => this.#setup,
      state: () => this.#state,
      stranded: (lane) => this.dispatch({ type: "stranded", lane }),
    });
    this.#receipts = new RestartReceipts({
      service: config.name,
      look: () => world.sockets.look(this.#setup.sockets),
      handedOver: (worker) => this.#workers.handedOver(worker),
    });
    this.#report = new FactReport(world, this.#receipts);
    this.#workers = new ServiceWorkers({
      setup: () => this.#setup,
      world,
      ring: this.ring,
      sink: () => this.#log.sink,
      find: (worker) => this.#find(worker),
      acceptors: () => this.acceptors(),
      isAwaited: (slot) => isStartAwaited(this.#state, slot),
      emit: (worker, event, lines) =>
        this.dispatch({ type: "worker", worker, event, ...(lines.length > 0 ? { lines } : {}) }),
    });
  }

  get config(): ServiceConfig {
    return this.#setup.config;
  }

  get setup(): ServiceSetup {
    return this.#setup;
  }

  /** Whether a worker that serves, or is to, was started with something else than what is in force. */
  get hasStaleWorkers(): boolean {
    return hasStaleWorkers(this.#state, this.#version);
  }

  /** Why its workers, or those of another setup, cannot be started now; undefined: they can. */
  socketProblem(setup = this.#setup): string | undefined {
    return socketProblemOf(setup, this.#world);
  }

  /** Where what its workers write goes now. */
  get output(): ServiceOutput {
    return this.#log.output;
  }

  get ring(): LogRing {
    return this.#log.ring;
  }

  get state(): ServiceState {
    return this.#state;
  }

  /** All processes of the workers that may accept connections, now or soon. */
  acceptors(): readonly number[] {
    return acceptingOf(this.#state).flatMap(({ id }) => this.#workers.pids(id));
  }

  /** Something of it may be there, or come at any time. */
  get isStarted(): boolean {
    return this.#workers.count > 0;
  }

  /** Pids of workers that may still be there. */
  pids(): number[] {
    return workersOf(this.#state).flatMap(({ worker }) => (worker.pid === undefined ? [] : [worker.pid]));
  }

  /** @param detailed with what has to be looked for in /proc */
  view(detailed = false): ServiceView {
    return serviceView({
      ...(detailed
        ? {
            valveOf: (worker: number) => this.#workers.valveInWords(worker),
            leftBehind: this.#world.leftBehind.count(this.config.name),
          }
        : {}),
      config: this.config,
      state: this.#state,
      clock: this.#world.clock,
      saidBy: (worker) => this.#workers.saidBy(worker),
      storedBy: (slot) => this.#workers.store.count(slot),
      unhealthy: (worker) => this.#workers.unhealthy(worker),
      startedAs: (worker) => this.#workers.startedAs(worker),
      socketProblem: this.socketProblem(),
      logDropped: this.#log.dropped,
      logBytesDropped: this.#workers.logBytesDropped,
    });
  }

  /** Resolves with the answer of the machine to a command. */
  ask(asker: number, event: Extract<ServiceEvent, { asker: number }>): Promise<Answered> {
    return this.#askers.ask(asker, () => this.dispatch(event));
  }

  /**
   * Runs with another setup from now on. Resolves when every worker of another one is gone and the instances are ready again, or with the reason
   * why not; what waits is made anew, what already fits is not touched.
   *
   * @param undoes it goes back to what it was: no task runs again for that
   */
  async configure(setup: ServiceSetup, asker: number, undoes = false): Promise<Answered> {
    this.#log.configure(setup.config.log);
    this.#directories.leave(this.config);
    const before = this.#version;
    this.#setup = setup;
    this.#version = versionOf(setup);
    this.#watchIdle(setup.config);
    // An address that an apply has bound knows what was asked for when it was bound.
    this.#lanes.steer(this.#state.steering ?? []);
    this.#workers.offerSockets();
    this.socketsChanged();
    const event = {
      type: "configure",
      asker,
      replace: before !== this.#version,
      undoes,
    } as const;
    // While its sockets cannot be bound nothing can start, and it starts by itself as soon as they are.
    if (this.#state.blocked && workersOf(this.#state).length === 0) {
      this.dispatch(event);
      return { answer: "done" };
    }
    const asked = this.ask(asker, event);
    // Somebody may have connected to such an address before it knew that.
    this.#lanes.lookAround();
    const answered = await asked;
    if (answered.answer === "done") {
      this.#log.closeFormer();
      this.#directories.removeFormer(this.config);
    }
    return answered;
  }

  /** Called after each step, until the returned function is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Begins its life. What its sockets are goes into the same note: a service with a note is not begun a second time. */
  boot(): void {
    this.#state = { ...this.#state, blocked: !this.#isBound() };
    this.dispatch({ type: "boot" });
    // Its socket may be older than the service, and have more lanes.
    this.#lanes.lookAround();
  }

  /** Its sockets were bound, or could not be. */
  socketsChanged(): void {
    const bound = this.#isBound();
    if (bound === this.#state.blocked) this.dispatch({ type: bound ? "unblocked" : "blocked" });
  }

  dispatch(event: ServiceEvent): void {
    if (this.#closed || !this.#mailbox.put(event)) return;
    this.#write();
    // What workers have stored stays while another one of their instance comes by itself, and is closed with the last one after that.
    this.#workers.store.settle(isContinued(this.#state));
    this.#directories.settle(this.config, isAtRest(this.#state));
    this.#workers.followHealth(readyOf(this.#state));
    this.#armTimer();
    for (const changed of this.#watchers) changed();
    this.#world.order.changed();
  }

  /**
   * Continues with workers that an earlier supervisor started: opens what the keeper kept of them, repeats what may not have happened. What is heard
   * meanwhile waits, so that nothing is repeated for a state that is not the one any more.
   */
  async adopt(tables: KeeperTables): Promise<void> {
    this.#mailbox.hold();
    await this.#workers.store.adopt(tables.held);
    const { effects, events, news } = await adoptWorkers(this.#state, this.config, tables, this.#workers);
    this.#lanes.steer(this.#state.steering ?? []);
    for (const effect of effects) this.#perform(effect);
    this.#mailbox.release();
    for (const event of events) this.dispatch(event);
    for (const { worker, child } of news) this.#workers.hear(worker, child);
    this.#workers.listen(); // Before a deadline that passed meanwhile ends a worker whose READY=1 is here already.
    for (const arm of tables.arms) {
      const tag = decodeWorkerTag(arm.tag);
      if (tag?.service === this.config.name && this.#find(tag.worker) === undefined) this.#workers.dropArm(arm);
    }
    this.#armTimer();
  }

  /** Goes on after its adoption, when it is known what is bound. */
  goOn(): void {
    this.socketsChanged();
    // The configuration may be another one than the state was made with: an apply that was cut off had tried it.
    this.dispatch({ type: "deadline" });
    // What a lane of a worker that is forgotten has left behind is looked for once more.
    this.#lanes.lookAround();
  }

  /** News of a child whose key is one of ours. */
  child(tag: WorkerTag, record: ChildRecord): void {
    const { worker } = tag;
    if (this.#find(worker) === undefined) return this.#workers.ended.hear(worker, record, tag);
    this.#workers.hear(worker, record);
  }

  /** To the processes of all workers that are ready. */
  signalWorkers(signal: number): Promise<number> {
    return this.#workers.signal(atWorkOf(this.#state, this.config), signal);
  }

  /** Tells all workers that are ready to read their configuration again, and waits for those that say when they have. */
  reload(policy: ReloadPolicy): Promise<Pick<Outcome, "result" | "message">> {
    const ready = this.#state.instances.flatMap(({ current }) => (current?.state.phase === "ready" ? [current] : []));
    return this.#workers.reload(ready, policy);
  }

  /** SIGKILL to all workers and their trees, without any timeout. The machine hears of it as of every other end. */
  kill(): void {
    for (const { worker } of workersOf(this.#state)) this.#workers.kill(worker);
  }

  /** Lets go of everything without ending a worker. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.arm(undefined);
    this.#receipts.close();
    this.#idle.stop();
    this.#workers.close();
    await this.#workers.ended.told();
    await this.#directories.close();
    await this.#log.close();
  }

  #step(event: ServiceEvent): void {
    const at = this.#world.clock.monotonic();
    const pids = new Map(workersOf(this.#state).map(({ worker }) => [worker.id, worker.pid]));
    const step = stepService(this.#state, event, {
      at,
      policy: this.config,
      version: this.#version,
      steered: isSteered(this.#setup),
      followed: this.#world.order.isFollowed(this.config.name),
      random: Math.random(),
    });
    this.#state = step.state;
    this.#receipts.follow(step.state.job);
    for (const { worker } of workersOf(step.state)) pids.set(worker.id, worker.pid ?? pids.get(worker.id));
    if (step.effects.some(({ type }) => !REPEATABLE.has(type))) this.#write();
    for (const effect of step.effects) this.#perform(effect);
    // Words come last: a worker that is started again does not wait for them.
    const lines = event.type === "worker" ? (event.lines ?? []) : [];
    for (const fact of step.facts) {
      this.#report.add(this.config, fact, {
        now: at,
        lines,
        pid: "worker" in fact ? pids.get(fact.worker) : undefined,
      });
    }
  }

  #write(): void {
    this.#note.write(encodeState(this.#state));
  }

  #armTimer(): void {
    this.#timer.arm(this.#closed ? undefined : nextDeadline(this.#state));
  }

  #perform(effect: ServiceEffect): void {
    switch (effect.type) {
      case "spawn":
      case "arm":
      case "disarm":
      case "signal":
      case "kill-tree":
      case "kill-main":
      case "leave":
      case "observe":
      case "find-valve":
      case "close-valve":
      case "open-valve":
      case "close-connections":
      case "sweep":
      case "acknowledge":
      case "run-hooks":
      case "end-hooks":
        return this.#workers.perform(effect);
      case "steer":
        return this.#lanes.steer(effect.shares);
      case "look-into":
        return this.#lanes.lookInto(effect.lane);
      case "answer":
        for (const asker of effect.askers) this.#answer(asker, effect);
    }
  }

  #answer(asker: number, { answer, failure, awaits, receipt }: Extract<ServiceEffect, { type: "answer" }>): void {
    const view = failure && failureView(this.config, failure, this.#world.clock);
    this.#askers.answer(asker, {
      answer,
      ...(view === undefined ? {} : { failure: view }),
      ...(awaits === undefined ? {} : { because: awaitsSentence(this.config.name, awaits) }),
      ...(receipt === undefined ? {} : { receipt: this.#receipts.view(receipt) }),
    });
  }

  #watchIdle({ name, idleStopMs }: ServiceConfig): void {
    if (this.#idle.watch(idleStopMs)) return;
    this.#world.log.warn(
      `${name}: idle_stop has no effect here: the kernel tells nothing of connections (sock_diag(7))`,
    );
  }

  #isBound(): boolean {
    return areBound(this.#setup, this.#world);
  }

  #find(id: number): Worker | undefined {
    return workerOf(this.#state, id);
  }
}
