import type { ReloadPolicy, ServiceConfig } from "../../config/config.js";
import type { Outcome, ServiceView } from "../../control/api.js";
import {
  type AcceptEffect,
  type AcceptEvent,
  type AcceptState,
  acceptDeadline,
  newAccept,
  stepAccept,
} from "../../lifecycle/accept.js";
import { newService, type ServiceEvent, type ServiceState } from "../../lifecycle/service-state.js";
import { eventsOf } from "../child-events.js";
import { RuntimeDirectories } from "../directories/runtime-directories.js";
import type { AcceptorRecord } from "../keeper/acceptor-record.js";
import { KeeperError } from "../keeper/keeper-client.js";
import type { ChildRecord } from "../keeper/records.js";
import type { ServiceOutput } from "../left-behind/remnant-output.js";
import type { LogRing } from "../logs/log-ring.js";
import type { Service } from "../service.js";
import type { Answered, KeeperTables } from "../service-runtime.js";
import { type ServiceSetup, versionOf } from "../service-setup.js";
import { serviceKey, type WorkerTag } from "../service-store.js";
import type { ServiceWorld } from "../service-world.js";
import { signalNumber } from "../words.js";
import { WorkerTree } from "../worker-tree.js";
import { AcceptLog } from "./accept-log.js";
import { acceptorOf, planAccept } from "./accept-plan.js";
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

const ENOENT = 2;
const EBADMSG = 74;
const ESRCH = 3;
const SIGKILL = 9;
/** Until the keeper is told to forget a process that has ended well. */
const FORGOTTEN_WITHIN_MS = 200;
/** What it wrote last, with a failure. */
const FAILURE_LINES = 5;

/**
 * A service with a process for each connection, in the world: its events go through the pure machine (lifecycle/accept.ts), its effects to the
 * keeper, which accepts and starts by itself.
 *
 * What a process leaves behind when it ends by itself is not looked for: that would cost each connection more than its start.
 */
export class AcceptService implements Service {
  readonly isNew: boolean;
  readonly byConnection = true;
  readonly #world: ServiceWorld;
  readonly #askers = new Map<number, (answered: Answered) => void>();
  readonly #watchers = new Set<() => void>();
  /** What tells the tree of each that runs. */
  readonly #marks = new Map<number, { readonly mark: string; readonly adopted: boolean }>();
  #setup: ServiceSetup;
  #state: AcceptState;
  #written = "";
  #mailbox: AcceptEvent[] = [];
  #stepping = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #log: AcceptLog;
  readonly #directories: RuntimeDirectories;
  /** Keys that the keeper is to be told to forget. */
  readonly #forgotten: string[] = [];
  #forgetting: NodeJS.Timeout | undefined;
  #acceptor: AcceptorRecord | undefined;
  /** While what the keeper has started is asked for: those whose end was heard meanwhile, which may be in the answer all the same. */
  #over: Set<number> | undefined;
  /** What the arm of an earlier supervisor was made from. */
  #armedVersion: string | undefined;

  /** @param note what an earlier supervisor left; undefined: it was never started, and `boot` begins it */
  constructor(setup: ServiceSetup, world: ServiceWorld, note?: Buffer) {
    const found = decodeAcceptState(note);
    this.#setup = setup;
    this.#world = world;
    this.isNew = found === undefined;
    this.#state = found ?? newAccept;
    this.#directories = new RuntimeDirectories(world.log, this.#state.desired === "started");
    this.#log = new AcceptLog(setup.config, world, (what, error) => this.#complain(what, error));
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
    const { sockets, isPaused } = this.#world;
    const paused = setup.sockets.find(({ name }) => isPaused(name));
    const words = paused && `socket ${paused.name} is paused; \`holdfast resume ${paused.name}\` ends that`;
    return setup.sockets.map((socket) => sockets.problem(socket)).find(Boolean) ?? words;
  }

  /** None of its processes accepts. */
  acceptors(): readonly number[] {
    return [];
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
    this.#armedVersion = arm && acceptTagOf(arm.tag)?.version;
    this.#state = { ...this.#state, armed: arm === undefined ? "no" : "yes" };
    for (const { tag, ...record } of children) {
      const found = acceptTagOf(tag);
      if (found?.service === name && record.state === "running") this.child(found, record);
    }
  }

  goOn(): void {
    const { armed, desired } = this.#state;
    const isStale = armed === "yes" && this.#armedVersion !== this.#version;
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
        this.#marks.set(number, { mark: `INVOCATION_ID=${invocationOf(tag, number)}`, adopted: record.adopted });
        this.#dispatch({
          type: "started",
          connection: { number, peer, pid: event.pid, startedAt: event.at },
        });
      } else if (event.type === "exited") this.#ended(number, peer, event.end);
      else if (event.type === "start-failed")
        this.#ended(number, peer, { kind: "not-started", stage: event.stage, errno: event.errno });
    }
    if (record.state !== "running") this.#forget(record);
  }

  /** The keeper's news of its arm. */
  accepts(record: AcceptorRecord): void {
    const before = this.#acceptor?.phase ?? "accepting";
    this.#acceptor = record;
    const said = acceptorSentence(this.config.name, record, before, this.#world.clock);
    if (said !== undefined) this.#report(said.type, said);
    for (const changed of this.#watchers) changed();
  }

  async signalWorkers(signal: number): Promise<number> {
    const sent = await Promise.allSettled(
      [...this.#state.connections.keys()].map((number) => this.#world.keeper.signal(this.#keyOf(number), signal)),
    );
    return sent.filter(({ status }) => status === "fulfilled").length;
  }

  /** Each new connection reads the configuration anew; there is nothing to be told. */
  async reload(_policy: ReloadPolicy): Promise<Pick<Outcome, "result" | "message">> {
    return { result: "unchanged", message: `${this.config.name} starts a process for each connection` };
  }

  kill(): void {
    this.#kill([...this.#state.connections.keys()]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#forgetAll();
    await this.#log.close();
    await this.#directories.close();
  }

  get #policy() {
    return this.#setup.sockets[0]?.accept;
  }

  /** Also the limits: the arm has them. */
  get #version(): string {
    return `${versionOf(this.#setup)} ${JSON.stringify(this.#policy)}`;
  }

  #ask(asker: number, event: Extract<AcceptEvent, { asker: number }>): Promise<Answered> {
    return new Promise((resolve) => {
      this.#askers.set(asker, resolve);
      this.#dispatch(event);
    });
  }

  #dispatch(event: AcceptEvent): void {
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
    this.#world.order.changed(); // Others may have waited for its socket.
  }

  #step(event: AcceptEvent): void {
    const step = stepAccept(this.#state, event, { at: this.#world.clock.monotonic(), policy: this.config });
    this.#state = step.state;
    if (step.effects.length > 0) this.#write();
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
        return this.#arm();
      case "disarm":
        return void this.#disarm();
      case "signal": {
        const signal = signalNumber(this.config.stop.signal) ?? 0;
        for (const number of effect.numbers) this.#signal(number, signal);
        return;
      }
      case "kill":
        return this.#kill(effect.numbers);
      case "answer":
        for (const asker of effect.askers) {
          const answered: Answered =
            effect.answer === "failed"
              ? { answer: "failed", failure: failureOf(this.config, effect.message, this.#world.clock) }
              : { answer: effect.answer };
          this.#askers.get(asker)?.(answered);
          this.#askers.delete(asker);
        }
    }
  }

  #arm(): void {
    const { keeper, sockets, configFile, environment } = this.#world;
    const policy = this.#policy;
    if (policy === undefined) return;
    try {
      const pipes = this.#log.pipes();
      const version = this.#version;
      this.#directories.settle(this.config, false);
      const plan = planAccept({
        service: this.config,
        version,
        pipes,
        configFile,
        own: environment,
        tell: (words) => this.#world.log.info(`${this.config.name}: ${words}`),
      });
      const keys = this.#setup.sockets.flatMap((socket) => sockets.keys(socket));
      const asked = keeper.accept(plan.request, plan.fds, keys, acceptorOf(policy, this.#state.last));
      for (const fd of plan.opened) fd.close();
      asked.then(
        () => this.#dispatch({ type: "armed" }),
        (error: Error) => this.#dispatch({ type: "not-armed", message: notArmed(error) }),
      );
    } catch (error) {
      this.#dispatch({ type: "not-armed", message: (error as Error).message });
    }
  }

  /** What the keeper has started by then is known afterwards, also what has not executed yet. */
  async #disarm(): Promise<void> {
    const { keeper } = this.#world;
    this.#over = new Set();
    try {
      await keeper.disarm(acceptKey(this.config.name)).catch((error: Error) => {
        if (!(error instanceof KeeperError) || error.errno !== ENOENT) throw error;
      });
      for (const { tag, ...record } of await keeper.listChildren()) {
        const connection = connectionOfKey(record.key);
        const found = acceptTagOf(tag);
        if (connection === undefined || found?.service !== this.config.name || this.#over.has(connection.number))
          continue;
        if (record.state === "running" || record.state === "starting")
          this.child(found, { ...record, state: "running" });
      }
    } catch (error) {
      this.#complain("disarm", error as Error);
    }
    this.#over = undefined;
    this.#dispatch({ type: "disarmed" });
  }

  #ended(number: number, peer: string, end: Extract<AcceptEvent, { type: "ended" }>["end"]): void {
    this.#marks.delete(number);
    this.#over?.add(number);
    const failed = end.kind !== "exited" || end.code !== 0;
    const lines = failed ? this.#log.lastLines(FAILURE_LINES) : [];
    this.#dispatch({ type: "ended", number, peer, end, lines });
  }

  #signal(number: number, signal: number): void {
    this.#send("signal", this.#world.keeper.signal(this.#keyOf(number), signal));
  }

  #kill(numbers: readonly number[]): void {
    const { keeperPid, knownPids } = this.#world;
    for (const number of numbers) {
      const pid = this.#state.connections.get(number)?.pid;
      const found = this.#marks.get(number);
      this.#signal(number, SIGKILL);
      if (pid === undefined || found === undefined) continue;
      const tree = new WorkerTree(() => {
        const except = knownPids();
        except.delete(pid);
        return { session: pid, mark: found.mark, keeperPid, adopted: found.adopted, except };
      });
      tree.kill().catch((error: Error) => this.#complain("kill", error));
    }
  }

  /** What has ended well is acknowledged together with others: each answer of the keeper wakes this process. */
  #forget({ key, state, status }: ChildRecord): void {
    this.#forgotten.push(key);
    if (state !== "exited" || status !== 0) return this.#forgetAll();
    this.#forgetting ??= setTimeout(() => this.#forgetAll(), FORGOTTEN_WITHIN_MS);
  }

  #forgetAll(): void {
    clearTimeout(this.#forgetting);
    this.#forgetting = undefined;
    for (const key of this.#forgotten.splice(0)) this.#send("acknowledge", this.#world.keeper.acknowledge(key));
  }

  #keyOf(number: number): string {
    const peer = this.#state.connections.get(number)?.peer ?? "";
    return `${acceptKey(this.config.name)}/${number}/${peer}`;
  }

  #queued(): number {
    return this.#world.sockets.look(this.#setup.sockets).reduce((sum, { queued }) => sum + queued, 0);
  }

  #isBound(): boolean {
    const { sockets, isPaused } = this.#world;
    return this.#setup.sockets.every((socket) => sockets.isBound(socket) && !isPaused(socket.name));
  }

  #write(): void {
    const bytes = encodeAcceptState(this.#state);
    const text = bytes.toString();
    if (text === this.#written) return;
    this.#written = text;
    this.#send("take its state", this.#world.keeper.hold(serviceKey(this.config.name), bytes, [], true));
  }

  #armTimer(): void {
    clearTimeout(this.#timer);
    const deadline = acceptDeadline(this.#state);
    if (deadline === undefined || !Number.isFinite(deadline) || this.#closed) return;
    const wait = Math.min(Math.max(1, Math.ceil(deadline - this.#world.clock.monotonic())), 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.#dispatch({ type: "deadline" }), wait);
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

  #send(what: string, asked: Promise<void>): void {
    asked.catch((error: Error) => {
      if (error instanceof KeeperError && [ENOENT, ESRCH].includes(error.errno)) return;
      this.#complain(what, error);
    });
  }

  #complain(what: string, error: Error): void {
    this.#world.log.error(`${this.config.name}: could not ${what}: ${error.message}`, { error });
  }
}

/** A keeper of an earlier version does not know such an arm. */
function notArmed(error: Error): string {
  if (!(error instanceof KeeperError) || error.errno !== EBADMSG) return error.message;
  return "the keeper is of a version that cannot accept connections; `holdfast self reexec` replaces it";
}
