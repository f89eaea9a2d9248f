import type { OwnedFd } from "../../ancillary/index.js";
import type { Config } from "../config/config.js";
import type { ControlServer } from "../control/server.js";
import { AllServices } from "./all-services.js";
import { type Leaving, nothingLeaves, readAppliedConfig, writeAppliedConfig } from "./applied-config.js";
import { Applier } from "./applier.js";
import { systemClock } from "./clock.js";
import { ControlSocket } from "./control-socket.js";
import { Counters } from "./counters.js";
import { EventLog } from "./event-log.js";
import { Heartbeat } from "./heartbeat.js";
import { KeeperClient } from "./keeper/keeper-client.js";
import type { KeeperEvents } from "./keeper/keeper-events.js";
import type { HeldRecord, Hello } from "./keeper/records.js";
import { KeeperProgram } from "./keeper-program.js";
import type { TakenOver } from "./left-overs/take-over.js";
import { type OwnLog, openOwnLog } from "./logs/own-log.js";
import { operationsOn } from "./operations.js";
import { selfCommands } from "./self-commands.js";
import { SelfReport } from "./self-report.js";
import { serveOperators } from "./serve-operators.js";
import { SupervisorEnd } from "./supervisor-end.js";
import type { SupervisorInput } from "./supervisor-input.js";
import { Donor } from "./upgrade/donor.js";
import { SupervisorUpgrade } from "./upgrade/supervisor-upgrade.js";
import { UPGRADE_KEY } from "./upgrade/upgrade-note.js";

/** How long stdout may take for what still waits when everything else is over. */
const LAST_WORDS_MS = 1_000;
const EXIT_NO_KEEPER = 111;

/**
 * The supervisor: attaches to the keeper, takes over what an earlier one left, starts what is missing, and serves the operator.
 *
 * Its life: attach, read the configuration in force, adopt sockets and workers, bind and start the rest, serve; until a signal
 * to the keeper asks for the end, another supervisor gets the lease, or the keeper is killed. It keeps nothing on disk.
 */
export class Supervisor {
  readonly #input: SupervisorInput;
  readonly #events = new EventLog(systemClock);
  readonly #counters = new Counters();
  readonly #startedAt = new Date();
  readonly #keeper: KeeperClient;
  readonly #leased: Promise<void>;
  readonly #donor = new Donor();
  /** News that came before the services were adopted. */
  #early: (() => void)[] | undefined = [];
  #hello!: Hello;
  #config!: Config;
  #own!: OwnLog;
  #heartbeat!: Heartbeat;
  #controlSocket!: ControlSocket;
  #control: ControlServer | undefined;
  #all!: AllServices;
  #applier!: Applier;
  #upgrade!: SupervisorUpgrade;
  #end!: SupervisorEnd;
  /** Nothing is left that another keeper could be given. */
  #left = false;

  constructor(input: SupervisorInput) {
    this.#input = input;
    let leased!: () => void;
    this.#leased = new Promise((resolve) => {
      leased = resolve;
    });
    const events: KeeperEvents = {
      child: (record, tag, pidfd) => {
        // Signals go through the keeper, which is the parent and cannot hit a stranger: of the pidfd we need only what it is.
        const news = pidfd === undefined ? record : { ...record, process: pidfd.identity().ino };
        pidfd?.close();
        this.#whenAdopted(() => this.#all.child(news, tag));
      },
      acceptor: (record) => this.#whenAdopted(() => this.#all.accepts(record)),
      signalled: (signals) => this.#whenAdopted(() => this.#end.signalled(signals)),
      leased: () => leased(),
      dropped: (reason) => {
        this.#counters.count("keeper-frames-dropped");
        this.#own?.log.warn(`a frame on the keeper's channel was dropped: ${reason}`);
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
    const mirror = this.#input.succession?.mirror;
    let filled = mirror?.fill(keeper);
    if (waitForLease !== undefined) {
      // Until then whoever has ceded may be the donor of the next keeper, and knows nothing of what we decide.
      this.#donor.contend(() => mirror?.held.get(UPGRADE_KEY)?.fds?.[0]);
      await filled;
      await keeper.report("hasAll");
      this.#donor.prevail();
    }
    let held = await keeper.listHeld();
    const applied = await readAppliedConfig(keeper, held);
    this.#config = applied?.config ?? (await this.#input.loadConfig((code) => this.#refuse(code)));
    const leaving = applied?.leaving ?? nothingLeaves;
    this.#own = openOwnLog(this.#config.supervisor);
    this.#heartbeat = new Heartbeat(keeper, this.#own.log);
    this.#heartbeat.beat(this.#config.supervisor.watchdogMs);
    const keeperProgram = new KeeperProgram(keeper, systemClock, this.#hello);
    const report = this.#makeReport(keeperProgram, held);
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
    this.#all = this.#makeServices(leaving);
    this.#applier = this.#makeApplier();
    this.#upgrade = this.#makeUpgrade();
    this.#end = this.#makeEnd();
    await this.#all.adopt(held);
    this.#all.start();
    if (leaving.services.length + leaving.sockets.length > 0) this.#finishApply(leaving);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) event();
    report.adopted();
    const decidesSince = systemClock.monotonic();
    await this.#serve(control, keeperProgram, report);
    if (waitForLease !== undefined) await keeper.report("serves");
    report.begin(this.#all, { adopted: applied !== undefined, takenOver, decidesSince });
    await filled;
  }

  #finishApply(leaving: Leaving): void {
    this.#applier.finish(leaving).catch((error: Error) => {
      this.#own.log.error(`what is not in force could not be removed: ${error.message}`, { error });
    });
  }

  #makeReport(keeperProgram: KeeperProgram, held: readonly HeldRecord[]): SelfReport {
    const { argv, program, version, keeperPid } = this.#input;
    return new SelfReport({
      keeper: this.#keeper,
      keeperPid,
      keeperProgram,
      hello: this.#hello,
      held,
      version,
      startedAt: this.#startedAt,
      entryPoint: argv[program] ?? "",
      log: this.#own.log,
      events: this.#events,
      counters: this.#counters,
      inForce: () => this.#config,
    });
  }

  #makeServices(leaving: Leaving): AllServices {
    return new AllServices({
      keeper: this.#keeper,
      keeperPid: this.#input.keeperPid,
      supervisors: this.#hello.supervisors,
      clock: systemClock,
      log: this.#own.log,
      sinks: this.#own.sinks,
      events: this.#events,
      environment: this.#input.environment,
      inForce: () => this.#config,
      leaving,
      isEnding: () => this.#end.isAsked,
      count: (counter) => this.#counters.count(counter),
    });
  }

  #makeApplier(): Applier {
    const { services, sockets, order, commands, staleWorkers } = this.#all;
    return new Applier({
      keeper: this.#keeper,
      clock: systemClock,
      log: this.#own.log,
      events: this.#events,
      services,
      sockets,
      order,
      commands,
      inForce: () => this.#config,
      adjust: ({ supervisor }) => this.#controlSocket.adjust(supervisor),
      enforce: (config) => {
        this.#config = config;
        this.#own.log.setLevel(config.supervisor.log.level);
        this.#heartbeat.beat(config.supervisor.watchdogMs);
      },
      read: this.#input.readConfig,
      makeService: (setup) => this.#all.make(setup),
      bringBack: (service) => staleWorkers.bringBackLater(service),
      isEnding: () => this.#end.isAsked,
      nextAsker: () => this.#all.nextAsker(),
    });
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
        if (this.#end.isAsked) return "holdfast is stopping everything";
        return this.#applier.isBusy ? "an apply is under way; wait until it has ended" : undefined;
      },
      donor: this.#donor,
      refuseCommands: async () => this.#control?.close(),
      stop: () => this.#stopDeciding(),
      ceded: (problem) => {
        if (problem !== undefined)
          process.stderr.write(`holdfast: the supervisor has ceded, and the new one does not serve: ${problem}\n`);
        void this.#own.output.close(LAST_WORDS_MS).then(() => this.#input.exit(0));
      },
    });
  }

  #makeEnd(): SupervisorEnd {
    return new SupervisorEnd({
      services: this.#all,
      log: this.#own.log,
      events: this.#events,
      idle: () => this.#applier.idle(),
      leave: (exitCode) => this.#leave(exitCode),
    });
  }

  async #serve(control: OwnedFd, keeperProgram: KeeperProgram, report: SelfReport): Promise<void> {
    const { services, sockets, order, commands, leftBehind, pauses } = this.#all;
    const { log } = this.#own;
    const upgrade = this.#upgrade;
    const operations = operationsOn({
      services,
      sockets,
      order,
      commands,
      leftBehind,
      pauses,
      events: this.#events,
      clock: systemClock,
      supervisor: () => report.view(),
      isEnding: () => this.#end.isAsked,
      isCeding: () => upgrade.isUnderWay,
      nextAsker: () => this.#all.nextAsker(),
      applier: this.#applier,
      ...selfCommands({ keeperProgram, upgrade, succession: this.#input.succession, log, events: this.#events }),
    });
    this.#control = await serveOperators(control, operations, { inForce: () => this.#config, log });
  }

  /** Lets go of everything without ending a worker. */
  async #stopDeciding(): Promise<void> {
    this.#all.pauses.close();
    const closed = this.#all.close();
    this.#all.sockets.close(false);
    await closed;
    this.#heartbeat.stop();
  }

  /** It must not have the lease: another one goes on. */
  async #giveWay(problem: string): Promise<void> {
    process.stderr.write(`holdfast: this version of the supervisor does not take over: ${problem}\n`);
    this.#input.exit(1);
  }

  async #leave(exitCode: number): Promise<void> {
    const { log, output } = this.#own;
    await this.#control?.close();
    this.#all.commands.close();
    this.#controlSocket.remove();
    this.#all.pauses.close();
    this.#all.sockets.close(true);
    if (!(await this.#all.close()))
      log.warn("a log file takes no writes and gives no error (a file system that hangs?); what waits for it is lost");
    this.#left = this.#all.pids().length === 0;
    log.info("everything is stopped");
    await output.close(LAST_WORDS_MS);
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
    if (succession === undefined || this.#left || this.#hello === undefined) return exit(this.#end?.exitCode ?? 0);
    this.#heartbeat?.stop();
    // Deaf from now on: what would be decided could not be written down.
    void this.#control?.close();
    const problem = await succession
      .handOver({
        supervisors: this.#hello.supervisors,
        nofile: this.#hello.nofile,
        signals: this.#end?.signals ?? [],
        written: this.#all?.close() ?? Promise.resolve(true),
        isOurs: () => this.#donor.mayGive(),
      })
      .catch((error: Error) => error.message);
    if (problem !== undefined)
      process.stderr.write(`holdfast: the keeper ended, and nobody has taken its place: ${problem}\n`);
    await this.#own?.output.close(LAST_WORDS_MS);
    exit(problem === undefined ? 0 : EXIT_NO_KEEPER);
  }

  #whenAdopted(event: () => void): void {
    if (this.#early === undefined) event();
    else this.#early.push(event);
  }
}
