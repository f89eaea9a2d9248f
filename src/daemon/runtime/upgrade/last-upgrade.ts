import type { SupervisorView } from "../../control/api.js";
import type { EventLog } from "../event-log.js";
import type { Keeper } from "../keeper/keeper-client.js";
import type { HeldRecord } from "../keeper/records.js";
import type { Logger } from "../logger.js";
import { encodeUpgradeNote, outcomeOf, UPGRADE_KEY, type UpgradeNote, upgradeNoteIn } from "./upgrade-note.js";

/** The last upgrade that a supervisor has ceded for, as the keeper's note tells of it. */
export class LastUpgrade {
  #note: UpgradeNote | undefined;
  #isNews = false;

  constructor(held: readonly HeldRecord[]) {
    this.#note = upgradeNoteIn(held);
  }

  /** This supervisor is the first after it. */
  get isNews(): boolean {
    return this.#isNews;
  }

  view(): Pick<SupervisorView, "upgrade"> {
    if (this.#note?.outcome === undefined) return {};
    return { upgrade: { id: this.#note.id, ...this.#note.outcome } };
  }

  /**
   * Says what became of it, if nobody has yet.
   *
   * @param o `program`: our own entry point; `decidesSince`: CLOCK_MONOTONIC, milliseconds; `end`: how the supervisor before us ended, in words
   */
  tell(o: {
    readonly keeper: Pick<Keeper, "hold">;
    readonly log: Logger;
    readonly events: EventLog;
    readonly program: string;
    readonly decidesSince: number;
    readonly end: string;
  }): void {
    const note = this.#note;
    if (note === undefined || note.outcome !== undefined) return;
    const outcome = outcomeOf(note, { program: o.program, pid: process.pid, now: o.decidesSince, end: o.end });
    const { result, message, pauseMs } = outcome;
    this.#note = { ...note, outcome };
    this.#isNews = true;
    const type = result === "done" ? "supervisor-upgraded" : "supervisor-upgrade-failed";
    o.log[result === "done" ? "info" : "error"](message, { event: type });
    o.events.add({ type, message, data: { from: note.from, to: note.to, pauseMs } });
    o.keeper
      .hold(UPGRADE_KEY, encodeUpgradeNote(this.#note), [], true)
      .catch((error: Error) => o.log.error(error.message, { error }));
  }
}
