import type { OwnedFd } from "../../ancillary/index.js";
import type { Config } from "../config/config.js";
import type { ReadConfig } from "./applier.js";
import type { Keeper, KeeperClient } from "./keeper/keeper-client.js";
import type { TakenOver } from "./left-overs/take-over.js";
import type { Succession } from "./succession/succession.js";

/** What became of what an earlier run has left. */
export interface Cleared {
  /** Why nothing may be started. */
  readonly problem?: string;
  /** The keeper has it now. */
  readonly takenOver?: TakenOver;
}

/** What a supervisor is given by whoever starts it. */
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
