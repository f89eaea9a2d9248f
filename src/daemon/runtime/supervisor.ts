import { readFileSync } from "node:fs";
import type { OwnedFd } from "../../ancillary/index.js";
import type { Config } from "../config/config.js";
import type { ReExecView, SupervisorView, UpgradeView } from "../control/api.js";
import type { ControlServer } from "../control/server.js";
import { AcceptService } from "./accept/accept-service.js";
import { acceptKey } from "./accept/accept-store.js";
import { type Leaving, nothingLeaves, readAppliedConfig, writeAppliedConfig } from "./applied-config.js";
import { Applier, type ReadConfig } from "./applier.js";
import { systemClock } from "./clock.js";
import { CommandRuns } from "./commands/command-runs.js";
import { ControlSocket } from "./control-socket.js";
import { SUPERVISOR_VARIABLE } from "./environment.js";
import { EventLog } from "./event-log.js";
import { FirstWords, previousEnd } from "./first-words.js";
import type { AcceptorRecord } from "./keeper/acceptor-record.js";
import { type Keeper, KeeperClient, type KeeperEvents } from "./keeper/keeper-client.js";
import type { ChildRecord, HeldRecord, Hello } from "./keeper/records.js";
import { KeeperProgram } from "./keeper-program.js";
import { LeftBehind } from "./left-behind/left-behind.js";
import type { TakenOver } from "./left-overs/take-over.js";
import { createLogger, type Logger } from "./logger.js";
import { LogSinks } from "./logs/log-sinks.js";
import { openOutputStream } from "./logs/output-stream.js";
import { SupervisorOutput } from "./logs/supervisor-output.js";
import { makeService } from "./make-service.js";
import { storingService } from "./notify/fd-store.js";
import { operationsOn } from "./operations.js";
import { Ordering } from "./ordering.js";
import type { Service } from "./service.js";
import type { Answered } from "./service-runtime.js";
import { setupOf } from "./service-setup.js";
import { decodeWorkerTag, serviceKey } from "./service-store.js";
import type { ServiceWorld } from "./service-world.js";
import { settlesWithin } from "./settles-within.js";
import { SocketPauses } from "./socket-pauses.js";
import { SocketTable } from "./socket-table.js";
import { endStray } from "./stray.js";
import { describeKeeperDeath, type KeeperDeath, keeperDeathIn } from "./succession/keeper-death.js";
import type { Succession } from "./succession/succession.js";
import { LastUpgrade } from "./upgrade/last-upgrade.js";
import { SupervisorUpgrade } from "./upgrade/supervisor-upgrade.js";
import { signalName } from "./words.js";

const SIGHUP = 1;
const SIGINT = 2;
const SIGQUIT = 3;
const SIGTERM = 15;
/** How long stdout may take for what still waits when everything else is over. */
const LAST_WORDS_MS = 1_000;
/** How long the end waits for log files. A file system that hangs must not keep Holdfast from ending. */
const LOGS_CLOSE_MS = 5_000;
/** How long workers may finish what they have in hand at the end of everything, and what they have left behind may take after that: whoever asked for it waits, and perhaps not for long (`docker stop`: 10 s). */
const LAST_DRAIN_MS = 3_000;
/** Between tries to bring a service back to the configuration in force. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
const EXIT_NO_KEEPER = 111;
/** More heartbeats than one fit the watchdog, so that one late timer is no death sentence. */
const HEARTBEATS_PER_WATCHDOG = 3;

/** What became of what an earlier run has left. */
export interface Cleared {
  /** Why nothing may be started. */
  readonly problem?: string;
  /** The keeper has it now. */
  readonly takenOver?: TakenOver;
}

export interface SupervisorInput {
  /** Our end of the keeper's channel. */
  readonly channel: OwnedFd;
  readonly keeperPid: number;
  /** The words that this process was started with, an absolute path first; its entry point stands at the index `program`. */
  readonly argv: readonly string[];
  readonly program: number;
  /** Another supervisor is in charge: resolves once it has ceded, or with the reason why we would not go on as it does. undefined: nobody is. */
  readonly waitForLease?: (keeper: KeeperClient, leased: Promise<void>) => Promise<string | undefined>;
  /** What follows when the keeper is killed; undefined: the supervisor ends with it. */
  readonly succession?: Succession;
  /** Reads the configuration when no earlier supervisor has left one; it ends the process itself if that fails. */
  readonly loadConfig: (refuse: (exitCode: number) => Promise<never>) => Promise<Config>;
  /** Reads the same files again, for `plan` and `apply`. */
  readonly readConfig: () => Promise<ReadConfig>;
  readonly environment: NodeJS.ProcessEnv;
  /** Ends what an earlier run with this control socket has left, or takes it over; or says why this one must not begin. */
  readonly clearAway?: (config: Config, keeper: Keeper) => Promise<Cleared>;
  readonly version: string;
  readonly exit: (code: number) => never;
}

/**
 * The supervisor: attaches to the keeper, takes over what an earlier one left, starts what is missing, and serves the operator.
 *
 * Its life: attach, read the configuration in force, adopt sockets and workers, bind and start the rest, serve; until a signal
 * to the keeper asks for the end. It keeps nothing on disk.
 */
export class Supervisor {
  readonly #input: SupervisorInput;
  readonly #events = new EventLog(systemClock);
  readonly #services = new Map<string, Service>();
  #pauses!: SocketPauses;
  readonly #counters: Record<string, number> = {};
  readonly #startedAt = new Date();
  readonly #keeper: KeeperClient;
  /** News of children that came before their services were adopted. */
  #early: (() => void)[] | undefined = [];
  #hello!: Hello;
  #keeperProgram!: KeeperProgram;
  #config!: Config;
  #log!: Logger;
  #output!: SupervisorOutput;
  /** One for all services, also those that an apply adds: two writers of one log file would rotate it from under each other. */
  #sinks!: LogSinks;
  #sockets!: SocketTable;
  #commands!: CommandRuns;
  #leftBehind!: LeftBehind;
  #controlSocket!: ControlSocket;
  #control: ControlServer | undefined;
  #applier!: Applier;
  readonly #order: Ordering;
  #lastAsker = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  #adoptedInMs: number | undefined;
  #keeperDeath: KeeperDeath | undefined;
  #upgrade!: SupervisorUpgrade;
  #lastUpgrade!: LastUpgrade;
  readonly #leased: Promise<void>;
  /** Nothing is left that another keeper could be given. */
  #left = false;
  /** Those that the keeper has told. */
  #stopSignals: readonly number[] = [];
  /** What holdfast exits with once it has stopped; undefined: nobody has asked for the end. */
  #endCode: number | undefined;

  constructor(input: SupervisorInput) {
    this.#input = input;
    let leased!: () => void;
    this.#leased = new Promise((resolve) => {
      leased = resolve;
    });
    this.#order = new Ordering({
      services: this.#services,
      nextAsker: () => this.#nextAsker(),
      tell: (message, service) => {
        this.#log.warn(message, { event: "started-for-failure", service });
        this.#events.add({ type: "started-for-failure", service, message });
      },
      isEnding: () => this.#endCode !== undefined,
    });
    const events: KeeperEvents = {
      child: (record, tag, pidfd) => {
        pidfd?.close(); // Signals go through the keeper, which is the parent and cannot hit a stranger.
        this.#whenAdopted(() => this.#child(record, tag));
      },
      acceptor: (record) => this.#whenAdopted(() => this.#accepts(record)),
      signalled: (signals) => this.#whenAdopted(() => this.#signalled(signals)),
      leased: () => leased(),
      dropped: (reason) => {
        this.#count("keeper-frames-dropped");
        this.#log?.warn(`a frame on the keeper's channel was dropped: ${reason}`);
      },
      ended: () => void this.#keeperEnded(),
    };
    this.#keeper = new KeeperClient(input.channel, input.keeperPid, events, input.succession?.mirror);
  }

  async run(): Promise<void> {
    const keeper = this.#keeper;
    const { waitForLease } = this.#input;
    const problem = await waitForLease?.(keeper, this.#leased);
    if (problem !== undefined) return this.#giveWay(problem);
    this.#hello = await keeper.attach();
    this.#keeperProgram = new KeeperProgram(keeper, systemClock, this.#hello);
    const mirror = this.#input.succession?.mirror;
    let filled = mirror?.fill(keeper);
    if (waitForLease !== undefined) {
      // Until then whoever has ceded is the donor of the next keeper, and knows nothing of what we decide.
      await filled;
      await keeper.report("hasAll");
    }
    let held = await keeper.listHeld();
    this.#keeperDeath = keeperDeathIn(held);
    this.#lastUpgrade = new LastUpgrade(held);
    const applied = await readAppliedConfig(keeper, held);
    this.#config = applied?.config ?? (await this.#input.loadConfig((code) => this.#refuse(code)));
    const leaving = applied?.leaving ?? nothingLeaves;
    this.#lastAsker = this.#hello.supervisors * 1_000_000;
    this.#openLog();
    this.#beat();
    this.#commands = this.#makeCommands();
    this.#leftBehind = this.#makeLeftBehind();
    const takenOver = applied === undefined ? await this.#clearAway() : undefined;
    if (takenOver !== undefined) {
      held = await keeper.listHeld();
      filled = filled?.then(() => mirror?.fill(keeper));
    }
    if (applied === undefined) await writeAppliedConfig(keeper, { config: this.#config, leaving });

    this.#controlSocket = new ControlSocket(this.#config.supervisor);
    const control = await this.#controlSocket.open(keeper, held).catch((error: Error) => {
      process.stderr.write(`holdfast: the control socket cannot be opened: ${error.message}\n`);
      return this.#refuse(1);
    });
    this.#sockets = new SocketTable({
      sockets: Object.values(this.#config.sockets),
      leaving: leaving.sockets,
      keeper,
      log: this.#log,
      events: this.#events,
      changed: (socket) => this.#socketChanged(socket),
    });
    await this.#sockets.adopt(held);
    this.#pauses = this.#makePauses();
    this.#pauses.adopt(held);
    await this.#adoptServices(held, leaving);
    await this.#leftBehind.adopt(held);
    this.#pauses.carryOn();
    this.#sockets.openMissing();
    this.#order.together(() => this.#startServices());
    this.#order.begin();
    this.#applier = this.#makeApplier();
    this.#upgrade = this.#makeUpgrade();
    if (leaving.services.length + leaving.sockets.length > 0) this.#finishApply(leaving);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) event();
    this.#adoptedInMs = Math.round(performance.now());
    const decidesSince = systemClock.monotonic();
    await this.#serve(control);
    if (waitForLease !== undefined) await keeper.report("serves");
    this.#tellUpgrade(decidesSince);
    if (takenOver !== undefined) this.#firstWords().takenOver(takenOver);
    this.#announce(applied !== undefined);
    await filled;
  }

  async #adoptServices(held: readonly HeldRecord[], leaving: Leaving): Promise<void> {
    const notes = new Map(held.map(({ key, tag }) => [key, tag]));
    // In this order: an arm that is fired in between is in both lists, and not in none.
    const [arms, children] = await Promise.all([this.#keeper.listArms(), this.#keeper.listChildren()]);
    this.#commands.adopt(children);
    const world = this.#world();
    const { services, sockets } = this.#config;
    const all = { ...sockets, ...Object.fromEntries(leaving.sockets.map((socket) => [socket.name, socket])) };
    const setups = [
      ...Object.values(services).map((config) => setupOf(config, sockets)),
      ...leaving.services.filter(({ name }) => notes.has(serviceKey(name))).map((config) => setupOf(config, all)),
    ];
    for (const setup of setups) {
      const { config } = setup;
      const note = notes.get(serviceKey(config.name));
      const service = makeService(setup, world, note);
      this.#services.set(config.name, service);
      await service.adopt({ children, arms, held });
    }
    this.#dropStored(held);
  }

  /** What workers of services have stored that are no more: an apply was cut off after their end. */
  #dropStored(held: readonly HeldRecord[]): void {
    for (const { key } of held) {
      const service = storingService(key);
      if (service === undefined || this.#services.has(service)) continue;
      this.#keeper.release(key).catch((error: Error) => this.#log.error(`${key}: ${error.message}`, { error }));
    }
  }

  #startServices(): void {
    const isNew = [...this.#services].flatMap(([name, service]) => (service.isNew ? [name] : []));
    this.#order.boot(isNew);
    for (const [name, service] of this.#services) {
      if (service.isNew) continue;
      service.goOn();
      this.#settle(name, service);
    }
  }

  /** An apply that was cut off may have left workers, and a size, of a configuration that never came in force. */
  #settle(name: string, service: Service): void {
    const report = ({ answer, failure }: Answered): void => {
      this.#log.info(`${name} is as the configuration in force says: ${failure?.message ?? answer}`);
    };
    const { configured } = service.state;
    const { workers } = service.config;
    void this.#bringBack(service, FIRST_RETRY_MS).then((answered) => answered && report(answered));
    if (configured !== undefined && configured !== workers) {
      const asker = this.#nextAsker();
      void service.ask(asker, { type: "scale", asker, size: workers, configured: workers }).then(report);
    }
    this.#log.debug(`${name} was taken over`);
  }

  /** Replaces workers of a configuration that is not in force, for as long as there are any: one that fails to start is no reason to keep them. */
  async #bringBack(service: Service, retryMs: number): Promise<Answered | undefined> {
    if (!service.hasStaleWorkers) return undefined;
    const answered = await service.configure(service.setup, this.#nextAsker());
    this.#bringBackLater(service, retryMs);
    return answered;
  }

  #bringBackLater(service: Service, retryMs: number): void {
    if (!service.hasStaleWorkers || this.#endCode !== undefined) return;
    this.#log.warn(`${service.config.name} has workers of a configuration that is not in force: it is tried again`);
    const retry = (): void => {
      // An operator's command is not superseded by this one.
      if (service.state.job !== undefined) setTimeout(retry, retryMs).unref();
      else void this.#bringBack(service, Math.min(retryMs * 2, LAST_RETRY_MS));
    };
    setTimeout(retry, retryMs).unref();
  }

  #finishApply(leaving: Leaving): void {
    this.#applier.finish(leaving).catch((error: Error) => {
      this.#log.error(`what is not in force could not be removed: ${error.message}`, { error });
    });
  }

  #makeApplier(): Applier {
    return new Applier({
      keeper: this.#keeper,
      clock: systemClock,
      log: this.#log,
      events: this.#events,
      services: this.#services,
      sockets: this.#sockets,
      order: this.#order,
      commands: this.#commands,
      inForce: () => this.#config,
      adjust: ({ supervisor }) => this.#controlSocket.adjust(supervisor),
      enforce: (config) => {
        this.#config = config;
        this.#log.setLevel(config.supervisor.log.level);
        this.#beat();
      },
      read: this.#input.readConfig,
      makeService: (setup) => makeService(setup, this.#world()),
      bringBack: (service) => this.#bringBackLater(service, FIRST_RETRY_MS),
      isEnding: () => this.#endCode !== undefined,
      nextAsker: () => this.#nextAsker(),
    });
  }

  #makePauses(): SocketPauses {
    const users = (socket: string): Service[] =>
      [...this.#services.values()].filter(({ config }) => config.sockets.includes(socket));
    return new SocketPauses({
      keeper: this.#keeper,
      clock: systemClock,
      log: this.#log,
      events: this.#events,
      acceptors: (socket) => users(socket).flatMap((service) => service.acceptors()),
      held: (name) => {
        const socket = this.#sockets.named(name);
        return socket === undefined ? [] : this.#sockets.held(socket);
      },
      changed: (socket) => {
        for (const service of users(socket)) service.socketsChanged();
      },
    });
  }

  #nextAsker(): number {
    this.#lastAsker += 1;
    return this.#lastAsker;
  }

  /** Last, and loaded last: workers must not wait for what only operators need. */
  async #serve(control: OwnedFd): Promise<void> {
    const [{ serveControl }, { authorizer }] = await Promise.all([
      import("../control/server.js"),
      import("../control/authorize.js"),
    ]);
    this.#control = serveControl({
      operations: operationsOn({
        services: this.#services,
        sockets: this.#sockets,
        order: this.#order,
        commands: this.#commands,
        leftBehind: this.#leftBehind,
        events: this.#events,
        clock: systemClock,
        supervisor: () => this.#view(),
        isEnding: () => this.#endCode !== undefined,
        isCeding: () => this.#upgrade.isUnderWay,
        nextAsker: () => this.#nextAsker(),
        applier: this.#applier,
        pauses: this.#pauses,
        reExec: (path) => this.#reExec(path),
        upgrade: (directory, timeoutMs) => this.#tryUpgrade(directory, timeoutMs),
      }),
      listenFd: control.release(),
      authorize: (peer) => {
        const { controlGroup } = this.#config.supervisor;
        const ownUid = process.getuid?.() ?? 0;
        return authorizer({ ownUid, ...(controlGroup === undefined ? {} : { controlGroup }) })(peer);
      },
      log: ({ level, event, message, data, cause }) =>
        this.#log[level](message, { event, ...data, ...(cause ? { cause } : {}) }),
    });
  }

  async #reExec(path: string | undefined): Promise<ReExecView> {
    const view = await this.#keeperProgram.reExec(path);
    const done = view.result === "done";
    if (done) this.#input.succession?.keeperReExecuted();
    this.#log[done ? "info" : "warn"](view.message);
    this.#events.add({ type: done ? "keeper-re-executed" : "keeper-re-exec-refused", message: view.message });
    return view;
  }

  #makeUpgrade(): SupervisorUpgrade {
    const { argv, program, version } = this.#input;
    return new SupervisorUpgrade({
      keeper: this.#keeper,
      clock: systemClock,
      version,
      argv,
      program,
      obstacle: () => {
        if (this.#endCode !== undefined) return "holdfast is stopping everything";
        return this.#applier.isBusy ? "an apply is under way; wait until it has ended" : undefined;
      },
      refuseCommands: async () => this.#control?.close(),
      stop: () => this.#stopDeciding(),
      ceded: (problem) => {
        if (problem !== undefined)
          process.stderr.write(`holdfast: the supervisor has ceded, and the new one does not serve: ${problem}\n`);
        void this.#output.close(LAST_WORDS_MS).then(() => this.#input.exit(0));
      },
    });
  }

  async #tryUpgrade(directory: string | undefined, timeoutMs: number): Promise<UpgradeView> {
    const view = await this.#upgrade.try(directory, timeoutMs);
    const willing = view.result === "willing";
    this.#log[willing ? "info" : "warn"](view.message);
    this.#events.add({ type: willing ? "supervisor-cedes" : "supervisor-upgrade-refused", message: view.message });
    // Once the answer is on its way: what is closed first is the control interface.
    if (willing)
      setImmediate(() => void this.#upgrade.cede().catch((error: Error) => this.#log.error(error.message, { error })));
    return view;
  }

  /** Lets go of everything without ending a worker. */
  async #stopDeciding(): Promise<void> {
    this.#pauses.close();
    const closed = Promise.all([...this.#services.values()].map((service) => service.close()));
    this.#sockets.close(false);
    await settlesWithin(closed, LOGS_CLOSE_MS);
    this.#leftBehind.close();
    clearInterval(this.#heartbeat);
  }

  /** It must not have the lease: another one goes on. */
  async #giveWay(problem: string): Promise<void> {
    process.stderr.write(`holdfast: this version of the supervisor does not take over: ${problem}\n`);
    this.#input.exit(1);
  }

  #world(): ServiceWorld {
    return {
      keeper: this.#keeper,
      keeperPid: this.#input.keeperPid,
      clock: systemClock,
      log: this.#log,
      events: this.#events,
      sockets: this.#sockets,
      sinks: this.#sinks,
      commands: this.#commands,
      leftBehind: this.#leftBehind,
      order: this.#order,
      isPaused: (socket) => this.#pauses.until(socket) !== undefined,
      configFile: this.#mainFile,
      environment: this.#environment,
      knownPids: () => this.#knownPids(),
      count: (counter) => this.#count(counter),
    };
  }

  /** What workers may inherit, and whose they are. */
  get #environment(): NodeJS.ProcessEnv {
    return { ...this.#input.environment, [SUPERVISOR_VARIABLE]: this.#config.supervisor.control };
  }

  #makeCommands(): CommandRuns {
    return new CommandRuns({
      keeper: this.#keeper,
      keeperPid: this.#input.keeperPid,
      supervisors: this.#hello.supervisors,
      log: this.#log,
      configFile: this.#mainFile,
      environment: this.#environment,
      workers: () => this.#workerPids(),
    });
  }

  #makeLeftBehind(): LeftBehind {
    return new LeftBehind({
      keeper: this.#keeper,
      keeperPid: this.#input.keeperPid,
      log: this.#log,
      knownPids: () => this.#knownPids(),
      outputOf: (name) => this.#services.get(name)?.output,
    });
  }

  #knownPids(): Set<number> {
    return new Set([...this.#workerPids(), ...this.#commands.pids]);
  }

  get #mainFile(): string {
    return this.#config.files[0] ?? "/";
  }

  #workerPids(): ReadonlySet<number> {
    return new Set([process.pid, ...[...this.#services.values()].flatMap((service) => service.pids())]);
  }

  #child(record: ChildRecord, tag: Buffer): void {
    if (this.#commands.hear(record, tag)) return;
    const owner = decodeWorkerTag(tag);
    const service = owner && this.#services.get(owner.service);
    if (owner === undefined || service === undefined) return endStray(this.#keeper, this.#log, record);
    service.child(owner, record);
  }

  #accepts(record: AcceptorRecord): void {
    for (const service of this.#services.values()) {
      if (service instanceof AcceptService && acceptKey(service.config.name) === record.key) service.accepts(record);
    }
  }

  #socketChanged(socket: string): void {
    if (this.#early !== undefined) return; // Asked for each service once all sockets were tried.
    for (const service of this.#services.values()) {
      if (service.config.sockets.includes(socket)) service.socketsChanged();
    }
  }

  #signalled(signals: readonly number[]): void {
    this.#stopSignals = [...this.#stopSignals, ...signals];
    for (const signal of signals) {
      if (signal === SIGTERM || signal === SIGINT || signal === SIGQUIT) void this.#end(signal);
      else if (signal === SIGHUP && process.stdout.isTTY)
        void this.#end(signal); // The terminal was closed.
      else this.#log.warn(`${signalName(signal)} has no meaning for this version of holdfast; nothing was done`);
    }
  }

  /** Stops every service, then the keeper. A second signal kills what is left; a third one does not even wait for its end. */
  async #end(signal: number): Promise<void> {
    if (this.#endCode !== undefined && this.#endCode > 0) return this.#leave(this.#endCode);
    if (this.#endCode === 0) {
      this.#endCode = 128 + signal;
      this.#log.warn(`${signalName(signal)} again: what is left is killed`);
      for (const service of this.#services.values()) service.kill();
      await this.#leftBehind.kill();
      return;
    }
    this.#endCode = 0;
    const running = [...this.#services.values()].flatMap((service) => service.pids()).length;
    this.#log.info(`${signalName(signal)}: stopping ${running} ${running === 1 ? "worker" : "workers"}`);
    this.#events.add({ type: "supervisor-stopping", message: `stopping because of ${signalName(signal)}` });
    const names = this.#order.inStopOrder(this.#services.keys());
    await this.#order.together(() =>
      Promise.all(
        names.map((name) => this.#services.get(name)!.ask(0, { type: "stop", asker: 0, withinMs: LAST_DRAIN_MS })),
      ),
    );
    await this.#applier.idle(); // Its services were stopped with all others, so it does not go on.
    await this.#leftBehind.end(LAST_DRAIN_MS);
    await this.#leave(this.#endCode);
  }

  async #leave(exitCode: number): Promise<void> {
    await this.#control?.close();
    this.#commands.close();
    this.#controlSocket.remove();
    this.#pauses.close();
    this.#sockets.close(true);
    const closed = Promise.all([...this.#services.values()].map((service) => service.close()));
    if (!(await settlesWithin(closed, LOGS_CLOSE_MS)))
      this.#log.warn(
        "a log file takes no writes and gives no error (a file system that hangs?); what waits for it is lost",
      );
    this.#left = this.#workerPids().size === 1;
    this.#log.info("everything is stopped");
    await this.#output.close(LAST_WORDS_MS);
    await this.#keeper.shutDown(exitCode);
    this.#input.exit(exitCode);
  }

  /** No worker of ours runs yet: whatever does is somebody's who is gone. */
  async #clearAway(): Promise<TakenOver | undefined> {
    const { problem, takenOver } = (await this.#input.clearAway?.(this.#config, this.#keeper)) ?? {};
    if (problem === undefined) return takenOver;
    process.stderr.write(`holdfast: ${problem}\n`);
    return this.#refuse(1);
  }

  /** The configuration is not usable: the keeper ends with the same exit code instead of trying again. */
  async #refuse(exitCode: number): Promise<never> {
    this.#left = true;
    await this.#keeper.shutDown(exitCode);
    return this.#input.exit(exitCode);
  }

  /** Another keeper gets what this one had. Without one nothing can be done: whatever ended the keeper ends us too. */
  async #keeperEnded(): Promise<void> {
    const { exit, succession } = this.#input;
    if (succession === undefined || this.#left || this.#hello === undefined) return exit(this.#endCode ?? 0);
    clearInterval(this.#heartbeat);
    // Deaf from now on: what would be decided could not be written down.
    void this.#control?.close();
    const closed = Promise.all([...this.#services.values()].map((service) => service.close()));
    const problem = await succession
      .handOver({
        supervisors: this.#hello.supervisors,
        nofile: this.#hello.nofile,
        signals: this.#stopSignals,
        written: settlesWithin(closed, LOGS_CLOSE_MS),
      })
      .catch((error: Error) => error.message);
    if (problem !== undefined)
      process.stderr.write(`holdfast: the keeper ended, and nobody has taken its place: ${problem}\n`);
    await this.#output?.close(LAST_WORDS_MS);
    exit(problem === undefined ? 0 : EXIT_NO_KEEPER);
  }

  #openLog(): void {
    const { log } = this.#config.supervisor;
    const format = log.format === "auto" ? (process.stdout.isTTY ? "pretty" : "json") : log.format;
    const stream = openOutputStream(1);
    this.#output = new SupervisorOutput({
      stream,
      format,
      onProblem: ({ message }) => process.stderr.write(`holdfast: ${message}\n`),
    });
    this.#log = createLogger(log, format, (line) => this.#output.writeOwn(line));
    this.#sinks = new LogSinks(this.#output, ({ message, ...data }) => this.#log.warn(message, data));
  }

  #beat(): void {
    const { watchdogMs } = this.#config.supervisor;
    clearInterval(this.#heartbeat);
    const beat = (): void => {
      this.#keeper.heartbeat(watchdogMs).catch((error: Error) => this.#log.error(`heartbeat: ${error.message}`));
    };
    beat();
    if (watchdogMs > 0) this.#heartbeat = setInterval(beat, watchdogMs / HEARTBEATS_PER_WATCHDOG);
  }

  #announce(adopted: boolean): void {
    const words = this.#firstWords();
    if (this.#keeperDeath?.told === false) words.keeperDeath(this.#keeperDeath, this.#keeper);
    if (this.#lastUpgrade.isNews) return;
    const workers = [...this.#services.values()].flatMap((service) => service.pids()).length;
    const end = previousEnd(this.#hello) ?? "ended";
    if (adopted) words.adopted({ workers, adoptedInMs: this.#adoptedInMs ?? 0, end });
    else
      words.started(
        this.#sockets.views(() => []),
        this.#config.supervisor.control,
        this.#input.version,
      );
  }

  #firstWords(): FirstWords {
    return new FirstWords(this.#log, this.#events);
  }

  #tellUpgrade(decidesSince: number): void {
    const { argv, program } = this.#input;
    this.#lastUpgrade.tell({
      keeper: this.#keeper,
      log: this.#log,
      events: this.#events,
      program: argv[program] ?? "",
      decidesSince,
      end: previousEnd(this.#hello) ?? "ended",
    });
  }

  #view(): SupervisorView {
    const end = previousEnd(this.#hello);
    return {
      version: this.#input.version,
      pid: process.pid,
      keeperPid: this.#input.keeperPid,
      keeper: this.#keeperProgram.view(),
      startedAt: this.#startedAt.toISOString(),
      starts: this.#hello.supervisors,
      configFiles: this.#config.files,
      control: this.#config.supervisor.control,
      counters: { "keeper-frames-refused": this.#hello.dropped, ...this.#counters },
      ...(end === undefined ? {} : { previousEnd: end }),
      ...this.#lastUpgrade.view(),
      ...(this.#keeperDeath === undefined
        ? {}
        : { keeperDeaths: this.#keeperDeath.count, keeperDeath: describeKeeperDeath(this.#keeperDeath) }),
      ...(this.#adoptedInMs === undefined ? {} : { adoptedInMs: this.#adoptedInMs }),
    };
  }

  #whenAdopted(event: () => void): void {
    if (this.#early === undefined) event();
    else this.#early.push(event);
  }

  #count(counter: string): void {
    this.#counters[counter] = (this.#counters[counter] ?? 0) + 1;
  }
}

/** The version in package.json, beside which this file's package lies. */
export function packageVersion(): string {
  const file = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
