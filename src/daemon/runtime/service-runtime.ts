import { randomBytes } from "node:crypto";
import { type NotifyMessage, NotifySocket } from "../../ancillary/index.js";
import type { ServiceConfig } from "../config/config.js";
import type { FailureView, ServiceView } from "../control/api.js";
import type { End } from "../lifecycle/end.js";
import { stepService } from "../lifecycle/service.js";
import {
  type Answer,
  type Failure,
  newService,
  nextDeadline,
  type ServiceEffect,
  type ServiceEvent,
  type ServiceFact,
  type ServiceState,
  workersOf,
} from "../lifecycle/service-state.js";
import { resumeWorker, type WorkerEvent } from "../lifecycle/worker.js";
import { resolveIdentity } from "./identity.js";
import { KeeperError } from "./keeper/keeper-client.js";
import type { ArmRecord, ChildRecord, ListedChild } from "./keeper/records.js";
import { LogRing } from "./logs/log-ring.js";
import type { LogSink } from "./logs/log-sink.js";
import { speaksFor } from "./notify-sender.js";
import { decodeWorkerTag, encodeState, serviceKey, type WorkerTag, workerKey } from "./service-store.js";
import { serviceView } from "./service-view.js";
import type { ServiceWorld } from "./service-world.js";
import { planStart, type StartPlan, StartPlanError } from "./start-plan.js";
import { factSentence, failureView, signalNumber } from "./words.js";
import { sortKept, WorkerResources } from "./worker-resources.js";
import { WorkerTree } from "./worker-tree.js";

/** Errnos of the keeper that mean "what you ask for is so already". */
const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const SIGKILL = 9;
const SIGTERM = 15;
/** What a failure keeps of the worker's last words: it must fit the state that the keeper holds. */
const FAILURE_LINES = 10;
const FAILURE_LINE_CHARACTERS = 400;

/** An answer to a command, before it is put into words. */
export interface Answered {
  readonly answer: Answer;
  readonly failure?: FailureView;
}

/**
 * One service in the world: events go through the pure machine, its effects to keeper and kernel.
 *
 * The new state is written to the keeper before the effects of the step, on the same ordered channel; so a supervisor that
 * dies anywhere in between leaves a state whose effects either happened or are repeated by `adopt`.
 */
export class ServiceRuntime {
  readonly config: ServiceConfig;
  readonly isNew: boolean;
  readonly ring = new LogRing({ maxLines: 2_000, maxBytes: 1024 * 1024 });
  readonly #world: ServiceWorld;
  readonly #sink: LogSink | undefined;
  readonly #resources = new Map<number, WorkerResources>();
  readonly #askers = new Map<number, (answered: Answered) => void>();
  readonly #watchers = new Set<() => void>();
  #mailbox: ServiceEvent[] = [];
  #stepping = false;
  #state: ServiceState;
  #written = "";
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param state what an earlier supervisor left; undefined: it was never started, and `boot` begins it */
  constructor(config: ServiceConfig, world: ServiceWorld, state?: ServiceState) {
    this.config = config;
    this.isNew = state === undefined;
    this.#world = world;
    this.#state = state ?? newService(config);
    this.#sink = world.sinks.open(config.name, config.log);
  }

  get state(): ServiceState {
    return this.#state;
  }

  /** Pids of workers that may still be there. */
  pids(): number[] {
    return workersOf(this.#state).flatMap(({ worker }) => (worker.pid === undefined ? [] : [worker.pid]));
  }

  view(): ServiceView {
    return serviceView({
      config: this.config,
      state: this.#state,
      clock: this.#world.clock,
      statusOf: (worker) => this.#resources.get(worker)?.statusText,
      socketProblem: this.config.sockets.map((socket) => this.#world.sockets.problem(socket)).find(Boolean),
      logDropped: this.#sink?.dropped ?? 0,
    });
  }

  /** Resolves with the answer of the machine to a command. */
  ask(asker: number, event: Extract<ServiceEvent, { asker: number }>): Promise<Answered> {
    return new Promise((resolve) => {
      this.#askers.set(asker, resolve);
      this.dispatch(event);
    });
  }

  /** Called after each step, until the returned function is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Its sockets were bound, or could not be. */
  socketsChanged(): void {
    const bound = this.config.sockets.every((socket) => this.#world.sockets.isBound(socket));
    if (bound === this.#state.blocked) this.dispatch({ type: bound ? "unblocked" : "blocked" });
  }

  dispatch(event: ServiceEvent): void {
    if (this.#closed) return;
    this.#mailbox.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#mailbox.shift(); next !== undefined; next = this.#mailbox.shift()) this.#step(next);
    } finally {
      this.#stepping = false;
    }
    this.#armTimer();
    for (const changed of this.#watchers) changed();
  }

  /** Continues with workers that an earlier supervisor started: opens what the keeper kept of them, repeats what may not have happened. */
  async adopt(children: readonly ListedChild[], arms: readonly ArmRecord[]): Promise<void> {
    const childOf = new Map(children.map((child) => [child.key, child]));
    const armOf = new Map(arms.map((arm) => [arm.key, arm]));
    const events: ServiceEvent[] = [];
    const effects: ServiceEffect[] = [];
    for (const { worker } of workersOf(this.#state)) {
      const key = workerKey(this.config.name, worker.slot, worker.id);
      const child = childOf.get(key);
      const arm = armOf.get(key);
      await this.#reopen(worker.id, child, arm);
      const stopSignal = signalNumber(this.config.stop.signal) ?? 0;
      const wasSignalled = child !== undefined && ((child.signals >> BigInt(stopSignal - 1)) & 1n) === 1n;
      const resumed = resumeWorker(
        worker,
        { child: child !== undefined, arm: arm !== undefined, wasSignalled },
        this.config,
      );
      effects.push(...resumed.effects);
      for (const event of resumed.events) events.push({ type: "worker", worker: worker.id, event });
      if (child !== undefined)
        for (const event of eventsOf(child)) events.push({ type: "worker", worker: worker.id, event });
    }
    for (const effect of effects) this.#perform(effect);
    for (const event of events) this.dispatch(event);
    for (const arm of arms) {
      const tag = decodeWorkerTag(arm.tag);
      if (tag?.service !== this.config.name || this.#find(tag.worker) !== undefined) continue;
      this.#send("drop an armed start that no state knows", this.#world.keeper.disarm(arm.key), [ENOENT]);
    }
    this.#armTimer();
  }

  /** News of a child whose key is one of ours. */
  child(worker: number, record: ChildRecord): void {
    if (this.#find(worker) === undefined) return endStray(this.#world, record);
    this.#resources.get(worker)?.drainNotify();
    for (const event of eventsOf(record)) this.#workerEvent(worker, event);
  }

  /** To the processes of all workers that are ready. */
  async signalWorkers(signal: number): Promise<number> {
    const ready = this.#state.instances.flatMap(({ current }) => (current?.state.phase === "ready" ? [current] : []));
    const sent = await Promise.allSettled(
      ready.map(({ slot, id }) => this.#world.keeper.signal(workerKey(this.config.name, slot, id), signal)),
    );
    return sent.filter(({ status }) => status === "fulfilled").length;
  }

  /** Lets go of everything without ending a worker. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const resources of this.#resources.values()) resources.close();
    await this.#sink?.close();
  }

  #step(event: ServiceEvent): void {
    const at = this.#world.clock.monotonic();
    const pids = new Map(workersOf(this.#state).map(({ worker }) => [worker.id, worker.pid]));
    const step = stepService(this.#state, event, { at, policy: this.config, random: Math.random() });
    this.#state = step.state;
    for (const { worker } of workersOf(step.state)) pids.set(worker.id, worker.pid ?? pids.get(worker.id));
    this.#write();
    const lines = event.type === "worker" ? (event.lines ?? []) : [];
    for (const fact of step.facts) {
      this.#report(fact, { now: at, lines, pid: "worker" in fact ? pids.get(fact.worker) : undefined });
    }
    for (const effect of step.effects) this.#perform(effect);
  }

  #write(): void {
    const bytes = encodeState(this.#state);
    const text = bytes.toString("latin1");
    if (text === this.#written) return;
    this.#written = text;
    this.#send("write its state", this.#world.keeper.hold(serviceKey(this.config.name), bytes, [], true));
  }

  #armTimer(): void {
    clearTimeout(this.#timer);
    const deadline = nextDeadline(this.#state);
    if (deadline === undefined || this.#closed) return;
    // setTimeout counts whole milliseconds and 2^31 of them at most; early is harmless, the machine looks at the time itself.
    const wait = Math.min(Math.max(1, Math.ceil(deadline - this.#world.clock.monotonic())), 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.dispatch({ type: "deadline" }), wait);
  }

  #perform(effect: ServiceEffect): void {
    switch (effect.type) {
      case "spawn":
        return this.#start(effect.worker, (plan) => this.#world.keeper.spawn(plan.request, plan.fds));
      case "arm": {
        const keys = this.config.sockets.flatMap((socket) => this.#world.sockets.keys(socket));
        return this.#start(effect.worker, (plan) => this.#world.keeper.arm(plan.request, plan.fds, keys));
      }
      case "disarm":
        return this.#disarm(effect.worker);
      case "signal":
        return this.#send(
          `send ${effect.signal}`,
          this.#world.keeper.signal(this.#key(effect.worker), signalNumber(effect.signal) ?? SIGTERM),
          [ESRCH, ENOENT],
        );
      case "kill-tree":
        return void this.#killTree(effect.worker);
      case "sweep":
        return this.#sweep(effect.worker, effect.signal);
      case "acknowledge":
        return this.#forget(effect.worker);
      case "answer":
        for (const asker of effect.askers) this.#answer(asker, effect.answer, effect.failure);
    }
  }

  #start(worker: number, ask: (plan: StartPlan) => Promise<void>): void {
    const slot = this.#slot(worker);
    const invocation = randomBytes(16).toString("hex");
    const notify = NotifySocket.bind();
    let plan: StartPlan;
    try {
      plan = planStart({
        service: this.config,
        slot,
        worker,
        invocation,
        notify,
        sockets: this.config.sockets.map((name) => ({ name, keys: this.#world.sockets.keys(name) })),
        configFile: this.#world.configFile,
        own: this.#world.environment,
      });
    } catch (error) {
      notify.close();
      if (!(error instanceof StartPlanError)) throw error;
      return this.#neverStarted(worker, error.errno, error.message);
    }
    const tag = JSON.parse(Buffer.from(plan.request.tag).toString()) as WorkerTag;
    const asked = ask(plan); // Before `#open`, which takes the pipes over: the frame carries duplicates of them.
    this.#open(worker, plan.request.key, tag, notify, plan.pipes);
    for (const fd of plan.theirs) fd.close();
    asked.catch((error: Error) => {
      // EEXIST: it was asked for before a crash of the supervisor, and its own news is on the way.
      if (error instanceof KeeperError && error.errno === EEXIST) return;
      this.#neverStarted(worker, error instanceof KeeperError ? error.errno : 0, error.message);
    });
  }

  #neverStarted(worker: number, errno: number, message: string): void {
    const lines = [`holdfast: ${message}`];
    this.dispatch({ type: "worker", worker, event: { type: "start-failed", stage: 0, errno }, lines });
  }

  #disarm(worker: number): void {
    this.#world.keeper.disarm(this.#key(worker)).then(
      () => {
        this.#resources.get(worker)?.close();
        this.#resources.delete(worker);
        this.#workerEvent(worker, { type: "disarmed", inTime: true });
      },
      (error: Error) => {
        if (!(error instanceof KeeperError)) return this.#world.log.error(`disarm: ${error.message}`, { error });
        this.#workerEvent(worker, { type: "disarmed", inTime: false });
      },
    );
  }

  #sweep(worker: number, signal: string): void {
    const tree = this.#tree(worker, false);
    if (tree === undefined || tree.isEmpty()) return this.#gone(worker);
    this.#world.log.warn(`${this.config.name}/${this.#slot(worker)} left processes behind: ${signal} to them`);
    const number = signalNumber(signal) ?? SIGKILL;
    const swept = number === SIGKILL ? this.#kill(tree) : tree.tell(number);
    swept.then(
      () => this.#gone(worker),
      (error: Error) => this.#world.log.error(`${this.config.name}: ${error.message}`, { error }),
    );
  }

  async #killTree(worker: number): Promise<void> {
    const tree = this.#tree(worker, true);
    // The keeper reaches also one that has not executed yet and whose pid nobody has told us.
    if (tree === undefined) {
      return this.#send("send SIGKILL", this.#world.keeper.signal(this.#key(worker), SIGKILL), [ESRCH, ENOENT]);
    }
    try {
      await this.#kill(tree);
    } catch (error) {
      this.#world.log.error(`${this.config.name}: ending a worker's processes failed: ${(error as Error).message}`, {
        error,
      });
    }
  }

  async #kill(tree: WorkerTree): Promise<void> {
    const { refused } = await tree.kill();
    if (refused.length === 0) return;
    this.#world.log.error(
      `${this.config.name}: not permitted to kill ${refused.map((pid) => `pid ${pid}`).join(", ")}, which it started`,
    );
  }

  #gone(worker: number): void {
    this.#workerEvent(worker, { type: "gone" });
  }

  #tree(worker: number, withMain: boolean): WorkerTree | undefined {
    const pid = this.#pid(worker);
    const invocation = this.#resources.get(worker)?.tag.invocation;
    if (pid === undefined || invocation === undefined) return undefined;
    const { keeperPid } = this.#world;
    return new WorkerTree(() => {
      const except = this.#world.knownPids();
      except.delete(pid);
      return {
        ...(withMain ? { mainPid: pid } : {}),
        session: pid,
        mark: `INVOCATION_ID=${invocation}`,
        keeperPid,
        except,
      };
    });
  }

  /** Sends a worker's event to the machine, with its last words where an end needs explaining. */
  #workerEvent(worker: number, event: WorkerEvent): void {
    const ends = event.type === "gone" || event.type === "start-failed";
    if (ends) this.#resources.get(worker)?.close();
    const lines = ends ? this.#lastLines(worker) : [];
    this.dispatch({ type: "worker", worker, event, ...(lines.length > 0 ? { lines } : {}) });
  }

  #lastLines(worker: number): string[] {
    const lines = this.#resources.get(worker)?.lastLines(FAILURE_LINES) ?? [];
    return lines.map((line) => line.slice(0, FAILURE_LINE_CHARACTERS));
  }

  #forget(worker: number): void {
    const resources = this.#resources.get(worker);
    if (resources === undefined) return; // It never reached the keeper.
    resources.close();
    this.#resources.delete(worker);
    this.#send("forget a worker", this.#world.keeper.acknowledge(resources.key), [ENOENT]);
  }

  #open(worker: number, key: string, tag: WorkerTag, notify: NotifySocket, pipes: StartPlan["pipes"]): void {
    const resources = new WorkerResources({
      key,
      tag,
      notify,
      pipes,
      ring: this.ring,
      sink: this.#sink,
      listener: {
        notified: (message) => this.#notified(worker, message),
        announced: () => this.#workerEvent(worker, { type: "announced", by: "newline" }),
        dropped: (reason) => this.#world.count(`notify-${reason}`),
      },
    });
    this.#resources.set(worker, resources);
  }

  async #reopen(worker: number, child: ListedChild | undefined, arm: ArmRecord | undefined): Promise<void> {
    const record = child ?? arm;
    const tag = record === undefined ? undefined : decodeWorkerTag(record.tag);
    if (record === undefined || tag === undefined) return;
    const fds = await this.#world.keeper.fetch(child === undefined ? "arms" : "children", record.key);
    if (child?.state === "running") fds.shift()?.close(); // Its pidfd: signals go through the keeper.
    const { notify, pipes } = sortKept(tag, fds);
    this.#open(worker, record.key, tag, notify, pipes);
  }

  #notified(worker: number, message: NotifyMessage): void {
    const resources = this.#resources.get(worker);
    const pid = this.#pid(worker) ?? 0; // Not told yet: then only the mark counts.
    const uid = resolveIdentity(this.config).uid ?? process.getuid?.() ?? 0;
    if (
      resources === undefined ||
      !speaksFor(message, { pid, uid, mark: `INVOCATION_ID=${resources.tag.invocation}` })
    ) {
      this.#world.count("notify-foreign");
      return this.#world.log.warn(
        `${this.config.name}: a notify message of pid ${message.pid}, which is not of this worker, was dropped`,
      );
    }
    const status = message.fields.get("STATUS");
    if (status !== undefined) resources.statusText = status.slice(0, FAILURE_LINE_CHARACTERS);
    if (message.fields.get("READY") === "1") this.#workerEvent(worker, { type: "announced", by: "notify" });
  }

  #answer(asker: number, answer: Answer, failure: Failure | undefined): void {
    const resolve = this.#askers.get(asker);
    if (resolve === undefined) return; // It was asked of an earlier supervisor.
    this.#askers.delete(asker);
    const view = failure && failureView(this.config.name, failure, this.config.command[0]!, this.#world.clock);
    resolve({ answer, ...(view === undefined ? {} : { failure: view }) });
  }

  #report(fact: ServiceFact, more: Parameters<typeof factSentence>[2]): void {
    const { message, level } = factSentence(this.config.name, fact, more);
    const { pid } = more;
    const { type, ...rest } = fact;
    const where = {
      service: this.config.name,
      ...("slot" in fact ? { instance: `${this.config.name}/${fact.slot}` } : {}),
      ...("worker" in fact ? { worker: fact.worker } : {}),
    };
    this.#world.log[level](message, { event: type, ...where, ...(pid === undefined ? {} : { pid }) });
    this.#world.events.add({ type, message, ...where, data: { ...rest, ...(pid === undefined ? {} : { pid }) } });
  }

  #send(what: string, asked: Promise<void>, expected: readonly number[] = []): void {
    asked.catch((error: Error) => {
      if (error instanceof KeeperError && expected.includes(error.errno)) return;
      this.#world.log.error(`${this.config.name}: could not ${what}: ${error.message}`, { error });
    });
  }

  #key(worker: number): string {
    return workerKey(this.config.name, this.#slot(worker), worker);
  }

  #slot(worker: number): number {
    return this.#find(worker)?.slot ?? 0;
  }

  #pid(worker: number): number | undefined {
    return this.#find(worker)?.pid;
  }

  #find(id: number): ReturnType<typeof workersOf>[number]["worker"] | undefined {
    return workersOf(this.#state).find(({ worker }) => worker.id === id)?.worker;
  }
}

/** A process that no state knows, because its state could not be read: it is ended, so that it never runs beside a known one. */
export function endStray({ keeper, log }: Pick<ServiceWorld, "keeper" | "log">, record: ChildRecord): void {
  const over = record.state === "exited" || record.state === "failed";
  if (!over) log.error(`${record.key} (pid ${record.pid}) belongs to no instance that is known: SIGKILL`);
  const asked = over ? keeper.acknowledge(record.key) : keeper.signal(record.key, SIGKILL);
  asked.catch((error: Error) => {
    // An acknowledged worker's last news may arrive twice.
    if (!(error instanceof KeeperError && [ENOENT, ESRCH].includes(error.errno)))
      log.error(`${record.key}: ${error.message}`);
  });
}

/** What a record says as events; a child that ended before anybody heard of it has also started. */
function eventsOf(record: ChildRecord): WorkerEvent[] {
  const started: WorkerEvent = { type: "started", pid: record.pid, at: record.startedAt };
  switch (record.state) {
    case "starting":
      return [];
    case "running":
      return [started];
    case "exited":
      return [started, { type: "exited", end: endOf(record.status) }];
    case "failed":
      return [{ type: "start-failed", stage: record.stage, errno: record.errno }];
  }
}

/** A wait status, decoded as the macros of wait(2) do. */
function endOf(status: number): End {
  const signal = status & 0x7f;
  if (signal === 0) return { kind: "exited", code: (status >> 8) & 0xff };
  return { kind: "signalled", signal, core: (status & 0x80) !== 0 };
}
