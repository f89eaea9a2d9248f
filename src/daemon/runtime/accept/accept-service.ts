import type { ReloadPolicy, ServiceConfig } from "../../config/config.js";
import type { Outcome, ServiceView } from "../../control/api.js";
import {
  type AcceptEffect,
  type AcceptEvent,
  type AcceptState,
  acceptDeadline,
  isEnding,
  newAccept,
  stepAccept,
} from "../../lifecycle/accept.js";
import { newService, type ServiceEvent, type ServiceState } from "../../lifecycle/service-state.js";
import { type Answered, Askers } from "../askers.js";
import { eventsOf } from "../child-events.js";
import { DeadlineTimer } from "../deadline-timer.js";
import { RuntimeDirectories } from "../directories/runtime-directories.js";
import type { AcceptorRecord } from "../keeper/acceptor-record.js";
import type { ChildRecord } from "../keeper/records.js";
import type { ServiceOutput } from "../left-behind/remnant-output.js";
import type { LogRing } from "../logs/log-ring.js";
import { Mailbox } from "../mailbox.js";
import type { Service } from "../service.js";
import type { KeeperTables } from "../service-adoption.js";
import { ServiceNote } from "../service-note.js";
import type { ServiceSetup } from "../service-setup.js";
import { areBound, socketProblemOf } from "../service-sockets.js";
import type { WorkerTag } from "../service-store.js";
import type { ServiceWorld } from "../service-world.js";
import { signalNumber } from "../words.js";
import { AcceptArm } from "./accept-arm.js";
import { AcceptLog } from "./accept-log.js";
import { AcceptProcesses } from "./accept-processes.js";
import {
  acceptKey,
  acceptLogKey,
  acceptTagOf,
  connectionOfKey,
  decodeAcceptState,
  encodeAcceptState,
  invocationOf,
} from "./accept-store.js";
import { acceptView } from "./accept-view.js";
import { acceptorSentence, factSentence, failureOf, notForConnections } from "./accept-words.js";

/** What it wrote last, with a failure. */
const FAILURE_LINES = 5;

/**
 * A service with a process for each connection, in the world: its events go through the pure machine (lifecycle/accept.ts), its effects to the
 * keeper, which accepts and starts by itself.
 *
 * What a process leaves behind when it was asked to end ends with it. When it ends by itself that is not looked for: it would cost each
 * connection more than its start.
 */
export class AcceptService implements Service {
  readonly isNew: boolean;
  readonly byConnection = true;
  readonly #world: ServiceWorld;
  readonly #askers = new Askers();
  readonly #watchers = new Set<() => void>();
  #setup: ServiceSetup;
  #state: AcceptState;
  #closed = false;
  readonly #mailbox = new Mailbox<AcceptEvent>((event) => this.#step(event));
  readonly #note: ServiceNote;
  readonly #timer: DeadlineTimer;
  readonly #log: AcceptLog;
  readonly #directories: RuntimeDirectories;
  readonly #arm: AcceptArm;
  readonly #processes: AcceptProcesses;
  /** The keeper's news of its arm. */
  #acceptor: AcceptorRecord | undefined;

  /** @param note what an earlier supervisor left; undefined: it was never started, and `boot` begins it */
  constructor(setup: ServiceSetup, world: ServiceWorld, note?: Buffer) {
    const found = decodeAcceptState(note);
    this.#setup = setup;
    this.#world = world;
    this.isNew = found === undefined;
    this.#state = found ?? newAccept;
    this.#directories = new RuntimeDirectories(world.log, this.#state.desired === "started");
    const complain = (what: string, error: Error) => this.#complain(what, error);
    this.#note = new ServiceNote(setup.config.name, world.keeper, (error) => complain("take its state", error));
    this.#timer = new DeadlineTimer(world.clock, () => this.#dispatch({ type: "deadline" }));
    this.#log = new AcceptLog(setup.config, world, complain);
    this.#arm = new AcceptArm(world, this.#log, this.#directories);
    this.#processes = new AcceptProcesses(world, complain);
  }

  get output(): ServiceOutput {
    return this.#log.output;
  }

  get ring(): LogRing {
    return this.#log.ring;
  }

  get config(): ServiceConfig {
    return this.#setup.config;
  }

  get setup(): ServiceSetup {
    return this.#setup;
  }

  /** Those that run keep what they were started with. */
  get hasStaleWorkers(): boolean {
    return false;
  }

  get state(): ServiceState {
    const { desired, blocked } = this.#state;
    return { ...newService(this.config), desired, blocked };
  }

  socketProblem(setup = this.#setup): string | undefined {
    return socketProblemOf(setup, this.#world);
  }

  /** None of its processes accepts. */
  acceptors(): readonly number[] {
    return [];
  }

  /** Nobody else has its sockets. */
  get isStarted(): boolean {
    return true;
  }

  pids(): number[] {
    return [...this.#state.connections.values()].map(({ pid }) => pid);
  }

  /** @param detailed with what has to be asked of the kernel */
  view(detailed = false): ServiceView {
    return acceptView({
      config: this.config,
      state: this.#state,
      clock: this.#world.clock,
      acceptor: this.#acceptor,
      policy: this.#policy,
      socketProblem: this.socketProblem(),
      logDropped: this.#log.dropped,
      logBytesDropped: this.#log.bytesDropped,
      ...(detailed ? { queued: this.#queued() } : {}),
    });
  }

  ask(asker: number, event: Extract<ServiceEvent, { asker: number }>): Promise<Answered> {
    switch (event.type) {
      case "start":
      case "stop":
      case "restart":
        return this.#ask(asker, event);
      case "reset":
        return Promise.resolve({ answer: "unchanged" });
      case "scale":
      case "configure":
      case "canary":
      case "promote":
      case "abort":
        return Promise.resolve({ answer: "failed", failure: notForConnections(this.config, this.#world.clock) });
    }
  }

  /** From now on new connections get this. What runs goes on as it is. */
  async configure(setup: ServiceSetup, asker: number): Promise<Answered> {
    this.#directories.leave(this.config);
    this.#setup = setup;
    this.#log.configure(setup.config);
    this.socketsChanged();
    return this.#ask(asker, { type: "configure", asker });
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  boot(): void {
    this.#state = { ...this.#state, blocked: !this.#isBound() };
    this.#dispatch({ type: "boot" });
  }

  socketsChanged(): void {
    const bound = this.#isBound();
    if (bound === this.#state.blocked) this.#dispatch({ type: bound ? "unblocked" : "blocked" });
  }

  /** Goes on with what the keeper has accepted meanwhile. */
  async adopt({ children, arms, held }: KeeperTables): Promise<void> {
    const { name } = this.config;
    const arm = arms.find(({ key }) => key === acceptKey(name));
    if (held.some(({ key }) => key === acceptLogKey(name))) await this.#log.adopt(arm?.key);
    if (arm !== undefined) this.#arm.adopt(arm);
    this.#state = { ...this.#state, armed: arm === undefined ? "no" : "yes" };
    for (const { tag, ...record } of children) {
      const found = acceptTagOf(tag);
      if (found?.service === name && record.state === "running") this.child(found, record);
    }
  }

  goOn(): void {
    const { armed, desired } = this.#state;
    const isStale = armed === "yes" && this.#arm.isStale(this.#setup);
    this.#dispatch({ type: this.#isBound() ? "unblocked" : "blocked" });
    if (isStale && desired === "started") this.#dispatch({ type: "configure", asker: 0 });
    this.#dispatch({ type: "deadline" });
  }

  /** News of a process whose tag is one of ours. */
  child(tag: WorkerTag, record: ChildRecord): void {
    const connection = connectionOfKey(record.key);
    if (connection === undefined) return;
    const { number, peer } = connection;
    for (const event of eventsOf(record)) {
      if (event.type === "started") {
        const mark = `INVOCATION_ID=${invocationOf(tag, number)}`;
        this.#processes.started(number, { key: record.key, pid: event.pid, mark, adopted: record.adopted });
        this.#dispatch({
          type: "started",
          connection: { number, peer, pid: event.pid, startedAt: event.at },
        });
      } else if (event.type === "exited") this.#exited(record, { number, peer, end: event.end });
      else if (event.type === "start-failed") {
        this.#ended({ number, peer, end: { kind: "not-started", stage: event.stage, errno: event.errno } });
        this.#processes.forget(record);
      }
    }
  }

  /** The keeper's news of its arm. */
  accepts(record: AcceptorRecord): void {
    const before = this.#acceptor?.phase ?? "accepting";
    this.#acceptor = record;
    const said = acceptorSentence(this.config.name, record, before, this.#world.clock);
    if (said !== undefined) this.#report(said.type, said);
    for (const changed of this.#watchers) changed();
  }

  signalWorkers(signal: number): Promise<number> {
    return this.#processes.signalAll(signal);
  }

  /** Each new connection reads the configuration anew; there is nothing to be told. */
  async reload(_policy: ReloadPolicy): Promise<Pick<Outcome, "result" | "message">> {
    return { result: "unchanged", message: `${this.config.name} starts a process for each connection` };
  }

  kill(): void {
    this.#processes.killAll();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.arm(undefined);
    this.#processes.forgetAll();
    await this.#log.close();
    await this.#directories.close();
  }

  get #policy() {
    return this.#setup.sockets[0]?.accept;
  }

  #ask(asker: number, event: Extract<AcceptEvent, { asker: number }>): Promise<Answered> {
    return this.#askers.ask(asker, () => this.#dispatch(event));
  }

  #dispatch(event: AcceptEvent): void {
    if (this.#closed || !this.#mailbox.put(event)) return;
    if (!this.#closed) this.#timer.arm(acceptDeadline(this.#state, this.config));
    for (const changed of this.#watchers) changed();
    this.#world.order.changed(); // Others may have waited for its socket.
  }

  #step(event: AcceptEvent): void {
    const step = stepAccept(this.#state, event, { at: this.#world.clock.monotonic(), policy: this.config });
    this.#state = step.state;
    if (step.effects.length > 0) this.#note.write(encodeAcceptState(this.#state));
    for (const effect of step.effects) this.#perform(effect);
    for (const fact of step.facts) {
      this.#report(fact.type, factSentence(this.config, fact));
      if (fact.type === "stopped") {
        this.#log.drop();
        this.#directories.settle(this.config, true);
      }
    }
  }

  #perform(effect: AcceptEffect): void {
    switch (effect.type) {
      case "arm":
        return this.#putArm();
      case "disarm":
        return void this.#takeArmBack();
      case "signal":
        return this.#processes.signal(effect.numbers, signalNumber(this.config.stop.signal) ?? 0);
      case "kill":
        return this.#processes.kill(effect.numbers);
      case "answer":
        for (const asker of effect.askers) {
          const answered: Answered =
            effect.answer === "failed"
              ? { answer: "failed", failure: failureOf(this.config, effect.message, this.#world.clock) }
              : { answer: effect.answer };
          this.#askers.answer(asker, answered);
        }
    }
  }

  #putArm(): void {
    const policy = this.#policy;
    if (policy === undefined) return;
    const failed = ({ message }: Error): void => this.#dispatch({ type: "not-armed", message });
    try {
      this.#arm.put(this.#setup, policy, this.#state.last).then(() => this.#dispatch({ type: "armed" }), failed);
    } catch (error) {
      failed(error as Error);
    }
  }

  async #takeArmBack(): Promise<void> {
    try {
      await this.#arm.takeBack(this.config.name, (tag, record) => this.child(tag, record));
    } catch (error) {
      this.#complain("disarm", error as Error);
    }
    this.#dispatch({ type: "disarmed" });
  }

  /**
   * Its own process was reaped. Where it was asked to end it has ended once nothing of its tree is left; that gets the same signal, until the stop
   * timeout. The keeper tells of it until then, so that another supervisor goes on with that.
   */
  #exited(record: ChildRecord, ended: EndOfOne): void {
    this.#arm.ended(ended.number);
    const over = (): void => {
      this.#ended(ended);
      this.#processes.forget(record);
    };
    const { ending } = this.#state;
    if (!isEnding(this.#state, ended) || ending?.phase === "draining") return over();
    const { kill, signal } = this.config.stop;
    const atOnce = ending?.phase === "killing" || kill !== undefined;
    this.#processes.sweep(ended.number, atOnce ? "SIGKILL" : signal, over);
  }

  #ended({ number, peer, end }: EndOfOne): void {
    this.#processes.ended(number);
    this.#arm.ended(number);
    const failed = end.kind !== "exited" || end.code !== 0;
    const lines = failed ? this.#log.lastLines(FAILURE_LINES) : [];
    this.#dispatch({ type: "ended", number, peer, end, lines });
  }

  #queued(): number {
    return this.#world.sockets.look(this.#setup.sockets).reduce((sum, { queued }) => sum + queued, 0);
  }

  #isBound(): boolean {
    return areBound(this.#setup, this.#world);
  }

  #report(
    type: string,
    o: {
      readonly message: string;
      readonly level: "debug" | "info" | "warn";
      readonly instance?: string;
      readonly data?: Readonly<Record<string, unknown>>;
    },
  ): void {
    const { message, level, data = {}, instance } = o;
    const where = { service: this.config.name, ...(instance === undefined ? {} : { instance }) };
    this.#world.log[level](message, { event: type, ...where, ...data });
    this.#world.events.add({ type, message, ...where, data });
  }

  #complain(what: string, error: Error): void {
    this.#world.log.error(`${this.config.name}: could not ${what}: ${error.message}`, { error });
  }
}

type EndOfOne = Pick<Extract<AcceptEvent, { type: "ended" }>, "number" | "peer" | "end">;
