import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { UpgradeView } from "../../control/api.js";
import type { Clock } from "../clock.js";
import type { KeeperClient } from "../keeper/keeper-client.js";
import { KeeperError } from "../keeper/keeper-error.js";
import type { UpgradeOutcome } from "../keeper/upgrade.js";
import { errnoWords, signalName } from "../words.js";
import { type Donor, donorToken } from "./donor.js";
import { type Installation, installationIn } from "./installation.js";
import { encodeUpgradeNote, UPGRADE_KEY } from "./upgrade-note.js";

const EBUSY = 16;
const EPROTO = 71;
const ESHUTDOWN = 108;

export interface UpgradeInput {
  readonly keeper: Pick<KeeperClient, "upgrade" | "dismiss" | "cede" | "hold">;
  readonly clock: Pick<Clock, "monotonic">;
  /** Of this process: its version, and the words that it was started with, its entry point at the index `program`. */
  readonly version: string;
  readonly argv: readonly string[];
  readonly program: number;
  readonly donor: Pick<Donor, "contend" | "withdraw">;
  /** Why nobody can take over now, in words; undefined: somebody can. */
  readonly obstacle: () => string | undefined;
  /** Takes no commands any more. What was asked for goes on under the next supervisor. */
  readonly refuseCommands: () => Promise<void>;
  /** Stops deciding: nothing is changed and nothing read any more. Resolves once what was to be written is written. */
  readonly stop: () => Promise<void>;
  /** It is over; undefined: somebody else is in charge and has all that we had. */
  readonly ceded: (problem: string | undefined) => void;
}

interface Willing {
  readonly id: string;
  readonly to: Installation;
}

/** The side of the supervisor in charge: has another version tried, and cedes the lease to it (docs/adr/0015-supervisor-upgrade.md). */
export class SupervisorUpgrade {
  readonly #o: UpgradeInput;
  #willing: Willing | undefined;

  constructor(input: UpgradeInput) {
    this.#o = input;
  }

  /** One that would take over is about to: what is begun now would be cut off. */
  get isUnderWay(): boolean {
    return this.#willing !== undefined;
  }

  /**
   * Tries the version in the directory; undefined: where this one lies. With `result: "willing"` it is to be followed by `cede`, once that answer is out.
   */
  async try(directory: string | undefined, timeoutMs: number): Promise<UpgradeView> {
    const failed = (problem: string): UpgradeView => ({
      result: "failed",
      message: `the supervisor was not upgraded, and the one that runs (pid ${process.pid}) stays in charge: ${problem}`,
    });
    const obstacle = this.#o.obstacle();
    if (obstacle !== undefined) return failed(obstacle);
    let to: Installation;
    try {
      to = installationIn(directory ?? join(this.#o.argv[this.#o.program] ?? "", "../../.."));
    } catch (error) {
      return failed((error as Error).message);
    }
    const problem = await this.#ask(to, timeoutMs);
    if (problem !== undefined) return failed(problem);
    const late = this.#o.obstacle();
    if (late !== undefined) {
      await this.#o.keeper.dismiss();
      return failed(late);
    }
    const id = randomBytes(8).toString("hex");
    this.#willing = { id, to };
    const message = `${to.program} (${to.version}) would go on as ${this.#o.version} does, and gets the lease`;
    return { result: "willing", message, id };
  }

  /** Resolves once it is over. */
  async cede(): Promise<void> {
    const { keeper, clock, donor, version: from } = this.#o;
    const willing = this.#willing;
    if (willing === undefined) return;
    await this.#o.refuseCommands();
    if (this.#o.obstacle() !== undefined) {
      // Everything ends, and whoever decides that is here.
      this.#willing = undefined;
      return keeper.dismiss();
    }
    const stoppedAt = clock.monotonic();
    await this.#o.stop();
    const note = {
      v: 1,
      id: willing.id,
      at: new Date().toISOString(),
      from,
      to: willing.to.version,
      program: willing.to.program,
      stoppedAt,
    } as const;
    const token = donorToken();
    donor.contend(() => token);
    try {
      // On one ordered channel: who has the lease finds the note, and the token.
      const noted = keeper.hold(UPGRADE_KEY, encodeUpgradeNote(note), [token], true);
      await Promise.all([noted, keeper.cede()]);
      donor.withdraw();
      this.#o.ceded(undefined);
    } catch (error) {
      this.#o.ceded((error as Error).message);
    }
  }

  /** Why it was refused; undefined: it is willing. */
  async #ask({ program }: Installation, timeoutMs: number): Promise<string | undefined> {
    const argv = this.#o.argv.map((word, index) => (index === this.#o.program ? program : word));
    try {
      return refusal(await this.#o.keeper.upgrade(argv, timeoutMs), program);
    } catch (error) {
      if (!(error instanceof KeeperError)) throw error;
      if (error.errno === EBUSY) return "an upgrade or a re-exec is under way; wait until it has ended";
      if (error.errno === EPROTO) return tooOld;
      if (error.errno === ESHUTDOWN) return "holdfast is stopping everything";
      return `the keeper could not start it: ${words(error.errno)}; try again`;
    }
  }
}

const tooOld =
  "the keeper that runs was built before it could try another supervisor; bring it up to date first (holdfast self reexec)";

/** What failed, where, why, and what to do. */
function refusal({ result, detail, words: said }: UpgradeOutcome, program: string): string | undefined {
  switch (result) {
    case "willing":
      return undefined;
    case "not-executed":
      return `${process.execPath} cannot be executed for ${program}: ${words(detail)}; install that Node.js again`;
    case "exited":
      return `${program} was tried and ended with exit code ${detail} before it said that it would take over; why stands in holdfast's stderr. Mend that version, or name another one with --to`;
    case "killed":
      return `${program} was tried and killed by ${signalName(detail)} before it said that it would take over; look whether it runs at all on this machine`;
    case "timed-out":
      return `${program} was tried and has not said within ${detail / 1000} s that it would take over; it was killed. Where the machine is only busy, give it longer with --timeout`;
    case "unwilling":
      return `${program} was tried and would not leave everything as it is: ${said}. Upgrade to a version that goes on with what runs, or start holdfast anew, which closes the sockets for a moment`;
    case "other-protocol":
      return `${program} speaks version ${detail} of the keeper's protocol, and the keeper another one; bring the keeper up to date first (holdfast self reexec --to), or name another version`;
    case "cannot-look":
      return `${program} is of a version that wants to be in charge at once and cannot be tried; end the supervisor instead (its pid is in "holdfast self status") with that version installed in its place`;
    case undefined:
      return `${program} was refused for a reason that this supervisor is too old to know`;
  }
}

function words(errno: number): string {
  const { name, meaning } = errnoWords(errno);
  return `${meaning} (${name})`;
}
