import type { Config } from "../config/config.js";
import { AcceptService } from "./accept/accept-service.js";
import { acceptKey } from "./accept/accept-store.js";
import type { Leaving } from "./applied-config.js";
import type { Clock } from "./clock.js";
import { CommandRuns } from "./commands/command-runs.js";
import { SUPERVISOR_VARIABLE } from "./environment.js";
import type { EventLog } from "./event-log.js";
import type { AcceptorRecord } from "./keeper/acceptor-record.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { ChildRecord, HeldRecord } from "./keeper/records.js";
import { LeftBehind } from "./left-behind/left-behind.js";
import type { Logger } from "./logger.js";
import type { LogSinks } from "./logs/log-sinks.js";
import { makeService } from "./make-service.js";
import { storingService } from "./notify/fd-store.js";
import { Ordering } from "./ordering.js";
import type { Service } from "./service.js";
import { type ServiceSetup, setupOf } from "./service-setup.js";
import { decodeWorkerTag, serviceKey } from "./service-store.js";
import type { ServiceWorld } from "./service-world.js";
import { settlesWithin } from "./settles-within.js";
import { SocketPauses } from "./socket-pauses.js";
import { SocketTable } from "./socket-table.js";
import { StaleWorkers } from "./stale-workers.js";
import { endStray } from "./stray.js";

/** How long the end waits for log files. A file system that hangs must not keep Holdfast from ending. */
const LOGS_CLOSE_MS = 5_000;

export interface AllServicesInput {
  readonly keeper: Keeper;
  readonly keeperPid: number;
  /** How many supervisors there have been, this one included. */
  readonly supervisors: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventLog;
  readonly sinks: LogSinks;
  readonly environment: NodeJS.ProcessEnv;
  readonly inForce: () => Config;
  /** What an apply that was cut off has left beside it. */
  readonly leaving: Leaving;
  readonly isEnding: () => boolean;
  readonly count: (counter: string) => void;
}

/**
 * All services together, with what they share: sockets, pauses, order, commands. They are adopted and started together, each gets the keeper's news of what is
 * its own, and they are stopped and closed together.
 */
export class AllServices {
  readonly #o: AllServicesInput;
  readonly services = new Map<string, Service>();
  readonly sockets: SocketTable;
  readonly pauses: SocketPauses;
  readonly commands: CommandRuns;
  readonly leftBehind: LeftBehind;
  readonly order: Ordering;
  readonly staleWorkers: StaleWorkers;
  /** Unique among all supervisors of one keeper: answers to earlier ones must find nobody. */
  #lastAsker: number;
  #started = false;

  constructor(input: AllServicesInput) {
    this.#o = input;
    const { keeper, log, events, leaving, isEnding } = input;
    this.#lastAsker = input.supervisors * 1_000_000;
    const nextAsker = () => this.nextAsker();
    this.order = new Ordering({
      services: this.services,
      nextAsker,
      tell: (message, service) => {
        log.warn(message, { event: "started-for-failure", service });
        events.add({ type: "started-for-failure", service, message });
      },
      isEnding,
    });
    this.staleWorkers = new StaleWorkers({ log, nextAsker, isEnding });
    this.commands = this.#makeCommands();
    this.leftBehind = new LeftBehind({
      keeper,
      keeperPid: input.keeperPid,
      log,
      knownPids: () => this.#knownPids(),
      outputOf: (name) => this.services.get(name)?.output,
    });
    this.sockets = new SocketTable({
      sockets: Object.values(input.inForce().sockets),
      leaving: leaving.sockets,
      keeper,
      log,
      events,
      changed: (socket) => this.#socketChanged(socket),
    });
    this.pauses = this.#makePauses();
  }

  /** Takes over what an earlier supervisor has left with the keeper. */
  async adopt(held: readonly HeldRecord[]): Promise<void> {
    await this.sockets.adopt(held);
    this.pauses.adopt(held);
    await this.#adoptServices(held);
    await this.leftBehind.adopt(held);
    this.pauses.carryOn();
  }

  /** Binds and starts what is missing. */
  start(): void {
    this.sockets.openMissing();
    this.order.together(() => this.#startServices());
    this.order.begin();
    this.#started = true;
  }

  async #adoptServices(held: readonly HeldRecord[]): Promise<void> {
    const { keeper, leaving, inForce } = this.#o;
    const notes = new Map(held.map(({ key, tag }) => [key, tag]));
    // In this order: an arm that is fired in between is in both lists, and not in none.
    const [arms, children] = await Promise.all([keeper.listArms(), keeper.listChildren()]);
    this.commands.adopt(children);
    const world = this.#world();
    const { services, sockets } = inForce();
    const all = { ...sockets, ...Object.fromEntries(leaving.sockets.map((socket) => [socket.name, socket])) };
    const setups = [
      ...Object.values(services).map((config) => setupOf(config, sockets)),
      ...leaving.services.filter(({ name }) => notes.has(serviceKey(name))).map((config) => setupOf(config, all)),
    ];
    for (const setup of setups) {
      const { config } = setup;
      const note = notes.get(serviceKey(config.name));
      const service = makeService(setup, world, note);
      this.services.set(config.name, service);
      await service.adopt({ children, arms, held });
    }
    this.#dropStored(held);
  }

  /** What workers of services have stored that are no more: an apply was cut off after their end. */
  #dropStored(held: readonly HeldRecord[]): void {
    const { keeper, log } = this.#o;
    for (const { key } of held) {
      const service = storingService(key);
      if (service === undefined || this.services.has(service)) continue;
      keeper.release(key).catch((error: Error) => log.error(`${key}: ${error.message}`, { error }));
    }
  }

  #startServices(): void {
    const isNew = [...this.services].flatMap(([name, service]) => (service.isNew ? [name] : []));
    this.order.boot(isNew);
    for (const [name, service] of this.services) {
      if (service.isNew) continue;
      service.goOn();
      this.staleWorkers.settle(name, service);
    }
  }

  /** One that an apply adds. */
  make(setup: ServiceSetup): Service {
    return makeService(setup, this.#world());
  }

  nextAsker(): number {
    this.#lastAsker += 1;
    return this.#lastAsker;
  }

  /** News of a child, whoever's it is. */
  child(record: ChildRecord, tag: Buffer): void {
    if (this.commands.hear(record, tag)) return;
    const owner = decodeWorkerTag(tag);
    const service = owner && this.services.get(owner.service);
    if (owner === undefined || service === undefined) return endStray(this.#o.keeper, this.#o.log, record);
    service.child(owner, record);
  }

  accepts(record: AcceptorRecord): void {
    for (const service of this.services.values()) {
      if (service instanceof AcceptService && acceptKey(service.config.name) === record.key) service.accepts(record);
    }
  }

  /** Of all workers. */
  pids(): number[] {
    return [...this.services.values()].flatMap((service) => service.pids());
  }

  /** In their order; workers may finish what they have in hand, but not for longer than that. */
  async stop(withinMs: number): Promise<void> {
    const names = this.order.inStopOrder(this.services.keys());
    await this.order.together(() =>
      Promise.all(names.map((name) => this.services.get(name)!.ask(0, { type: "stop", asker: 0, withinMs }))),
    );
  }

  /** What workers have left behind, too. */
  kill(): void {
    for (const service of this.services.values()) service.kill();
    void this.leftBehind.kill();
  }

  /** Lets go of them without ending a worker. False: a log file takes no writes, and what waits for it is lost. */
  async close(): Promise<boolean> {
    const closed = Promise.all([...this.services.values()].map((service) => service.close()));
    const inTime = await settlesWithin(closed, LOGS_CLOSE_MS);
    this.leftBehind.close();
    return inTime;
  }

  #socketChanged(socket: string): void {
    if (!this.#started) return; // Asked for each service once all sockets were tried.
    for (const service of this.#usersOf(socket)) service.socketsChanged();
  }

  #usersOf(socket: string): Service[] {
    return [...this.services.values()].filter(({ config }) => config.sockets.includes(socket));
  }

  #makePauses(): SocketPauses {
    const { keeper, clock, log, events } = this.#o;
    return new SocketPauses({
      keeper,
      clock,
      log,
      events,
      acceptors: (socket) => this.#usersOf(socket).flatMap((service) => service.acceptors()),
      held: (name) => {
        const socket = this.sockets.named(name);
        return socket === undefined ? [] : this.sockets.held(socket);
      },
      changed: (socket) => {
        for (const service of this.#usersOf(socket)) service.socketsChanged();
      },
    });
  }

  #makeCommands(): CommandRuns {
    const { keeper, keeperPid, supervisors, log } = this.#o;
    return new CommandRuns({
      keeper,
      keeperPid,
      supervisors,
      log,
      configFile: this.#mainFile,
      environment: this.#environment,
      workers: () => this.#ownPids(),
    });
  }

  #world(): ServiceWorld {
    const { keeper, keeperPid, clock, log, events, sinks, count } = this.#o;
    return {
      keeper,
      keeperPid,
      clock,
      log,
      events,
      sockets: this.sockets,
      sinks,
      commands: this.commands,
      leftBehind: this.leftBehind,
      order: this.order,
      isInUse: (socket) =>
        [...this.services.values()].some(({ config, isStarted }) => isStarted && config.sockets.includes(socket)),
      isPaused: (socket) => this.pauses.until(socket) !== undefined,
      configFile: this.#mainFile,
      environment: this.#environment,
      knownPids: () => this.#knownPids(),
      count,
    };
  }

  /** What workers may inherit, and whose they are. */
  get #environment(): NodeJS.ProcessEnv {
    return { ...this.#o.environment, [SUPERVISOR_VARIABLE]: this.#o.inForce().supervisor.control };
  }

  get #mainFile(): string {
    return this.#o.inForce().files[0] ?? "/";
  }

  #knownPids(): Set<number> {
    return new Set([...this.#ownPids(), ...this.commands.pids]);
  }

  #ownPids(): ReadonlySet<number> {
    return new Set([process.pid, ...this.pids()]);
  }
}
