import type { Config } from "../config/config.js";
import type { SupervisorView } from "../control/api.js";
import type { AllServices } from "./all-services.js";
import type { Counters } from "./counters.js";
import type { EventLog } from "./event-log.js";
import { FirstWords, previousEnd } from "./first-words.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord, Hello } from "./keeper/records.js";
import type { KeeperProgram } from "./keeper-program.js";
import type { TakenOver } from "./left-overs/take-over.js";
import type { Logger } from "./logger.js";
import { describeKeeperDeath, type KeeperDeath, keeperDeathIn } from "./succession/keeper-death.js";
import { LastUpgrade } from "./upgrade/last-upgrade.js";

export interface SelfReportInput {
  readonly keeper: Keeper;
  readonly keeperPid: number;
  readonly keeperProgram: KeeperProgram;
  readonly hello: Hello;
  readonly held: readonly HeldRecord[];
  readonly version: string;
  readonly startedAt: Date;
  /** Our own entry point. */
  readonly entryPoint: string;
  readonly log: Logger;
  readonly events: EventLog;
  readonly counters: Counters;
  readonly inForce: () => Config;
}

/** What the supervisor tells of itself and of those before it: once when it has begun, and whenever it is asked. */
export class SelfReport {
  readonly #o: SelfReportInput;
  readonly #keeperDeath: KeeperDeath | undefined;
  readonly #lastUpgrade: LastUpgrade;
  #adoptedInMs: number | undefined;

  constructor(input: SelfReportInput) {
    this.#o = input;
    this.#keeperDeath = keeperDeathIn(input.held);
    this.#lastUpgrade = new LastUpgrade(input.held);
  }

  /** Everything is adopted now. */
  adopted(): void {
    this.#adoptedInMs = Math.round(performance.now());
  }

  /** @param o `adopted`: there was a supervisor before; `decidesSince`: CLOCK_MONOTONIC, milliseconds */
  begin(
    all: AllServices,
    o: { readonly adopted: boolean; readonly takenOver: TakenOver | undefined; readonly decidesSince: number },
  ): void {
    const { keeper, hello, log, events, entryPoint, inForce, version } = this.#o;
    const words = new FirstWords(log, events);
    const end = previousEnd(hello) ?? "ended";
    this.#lastUpgrade.tell({ keeper, log, events, program: entryPoint, decidesSince: o.decidesSince, end });
    if (o.takenOver !== undefined) words.takenOver(o.takenOver);
    if (this.#keeperDeath?.told === false) words.keeperDeath(this.#keeperDeath, keeper);
    if (this.#lastUpgrade.isNews) return;
    if (o.adopted) words.adopted({ workers: all.pids().length, adoptedInMs: this.#adoptedInMs ?? 0, end });
    else
      words.started(
        all.sockets.views(() => []),
        inForce().supervisor.control,
        version,
      );
  }

  view(): SupervisorView {
    const { hello, version, startedAt, keeperPid, keeperProgram, counters, inForce } = this.#o;
    const end = previousEnd(hello);
    const { files, supervisor } = inForce();
    return {
      version,
      pid: process.pid,
      keeperPid,
      keeper: keeperProgram.view(),
      startedAt: startedAt.toISOString(),
      starts: hello.supervisors,
      configFiles: files,
      control: supervisor.control,
      counters: { "keeper-frames-refused": hello.dropped, ...counters.all() },
      ...(end === undefined ? {} : { previousEnd: end }),
      ...this.#lastUpgrade.view(),
      ...(this.#keeperDeath === undefined
        ? {}
        : { keeperDeaths: this.#keeperDeath.count, keeperDeath: describeKeeperDeath(this.#keeperDeath) }),
      ...(this.#adoptedInMs === undefined ? {} : { adoptedInMs: this.#adoptedInMs }),
    };
  }
}
