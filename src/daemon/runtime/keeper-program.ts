import type { KeeperView, ReExecView } from "../control/api.js";
import type { Clock } from "./clock.js";
import type { KeeperClient } from "./keeper/keeper-client.js";
import { KeeperError } from "./keeper/keeper-error.js";
import type { ReExecOutcome } from "./keeper/re-exec.js";
import type { Hello } from "./keeper/records.js";
import { errnoWords, signalName } from "./words.js";

const EBUSY = 16;
const EPROTONOSUPPORT = 93;
const ESHUTDOWN = 108;

/** What is known of the program that the keeper is, and how it becomes another one. */
export class KeeperProgram {
  readonly #keeper: Pick<KeeperClient, "reExec">;
  readonly #clock: Clock;
  readonly #pid: number;
  readonly #startedAt: string;
  /** undefined: a keeper that was built before re-exec. */
  #reExecs: Hello["reExecs"];

  constructor(keeper: Pick<KeeperClient, "reExec">, clock: Clock, hello: Hello) {
    this.#keeper = keeper;
    this.#clock = clock;
    this.#pid = hello.keeperPid;
    this.#startedAt = clock.wallAt(hello.keeperStartedAt).toISOString();
    this.#reExecs = hello.reExecs;
  }

  view(): KeeperView {
    const last = this.#reExecs?.lastAt;
    return {
      startedAt: this.#startedAt,
      reExecs: this.#reExecs?.count ?? 0,
      ...(last === undefined ? {} : { reExecutedAt: this.#clock.wallAt(last).toISOString() }),
    };
  }

  /** @param path absolute; undefined: what lies now where the keeper's own program lies or lay */
  async reExec(path: string | undefined): Promise<ReExecView> {
    const startedAt = this.#clock.monotonic();
    const problem = this.#reExecs === undefined ? tooOld : await this.#ask(path ?? "");
    const durationMs = Math.round(this.#clock.monotonic() - startedAt);
    const reExecs = this.#reExecs?.count ?? 0;
    if (problem !== undefined) {
      const message = `the keeper was not re-executed, and nothing has changed: ${problem}`;
      return { result: "failed", message, reExecs, durationMs };
    }
    const message = `the keeper (pid ${this.#pid}) was re-executed in ${durationMs} ms; sockets and workers are as before`;
    return { result: "done", message, reExecs, durationMs };
  }

  /** Why it was refused; undefined: it is done. */
  async #ask(path: string): Promise<string | undefined> {
    try {
      const outcome = await this.#keeper.reExec(path);
      if (outcome.result === "done") this.#reExecs = { count: outcome.count, lastAt: this.#clock.monotonic() };
      return refusal(outcome, path === "" ? "its own program" : path);
    } catch (error) {
      if (!(error instanceof KeeperError)) throw error;
      if (error.errno === EBUSY) return "another re-exec is under way; wait until it has ended";
      if (error.errno === ESHUTDOWN) return "holdfast is stopping everything";
      return `the keeper refused it: ${words(error.errno)}`;
    }
  }
}

const tooOld =
  "the keeper that runs was built before it could be; only a new start of holdfast brings another one, and closes the sockets for a moment";

/** What failed, where, and what to do. */
function refusal({ result, detail }: ReExecOutcome, program: string): string | undefined {
  switch (result) {
    case "done":
      return undefined;
    case "not-executed":
      return `${program} cannot be executed: ${words(detail)}; name a holdfast-keeper that can be with --to`;
    case "no-proof":
      return `${program} was tried and ended with exit code ${detail}, without a proof that it can take over: it is no holdfast-keeper, or one that is too old, or does not know an argument of this one; what it wrote is in holdfast's stderr`;
    case "killed":
      return `${program} was tried and killed by ${signalName(detail)} before it had proved that it can take over; look whether it runs at all on this machine`;
    case "timed-out":
      return `${program} was tried and has not proved within ${detail / 1000} s that it can take over; it was killed. If it is a holdfast-keeper, the machine is too busy: try again`;
    case "other-state":
      return `${program} reads version ${detail} of the keeper's state, and this keeper writes another one; only a new start of holdfast changes to it, and closes the sockets for a moment`;
    case "not-read":
      if (detail === EPROTONOSUPPORT)
        return `${program} speaks another version of the keeper's protocol than this supervisor; a version of holdfast that speaks both has to come in between, or a new start of holdfast, which closes the sockets for a moment`;
      return `${program} was tried and cannot take the keeper's state: ${words(detail)}; please report it`;
    case "not-passed":
      return detail === ESHUTDOWN
        ? "holdfast has begun to stop everything meanwhile"
        : `the keeper's state cannot be passed on: ${words(detail)}`;
    case "given-back":
      return `${program} was executed, could not go on (${words(detail)}), and the program of before took everything back; please report it`;
    case undefined:
      return `${program} was refused for a reason that this supervisor is too old to know`;
  }
}

function words(errno: number): string {
  const { name, meaning } = errnoWords(errno);
  return `${meaning} (${name})`;
}
