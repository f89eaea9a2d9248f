import type { Clock } from "./clock.js";
import type { CommandRuns } from "./commands/command-runs.js";
import type { EventLog } from "./event-log.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { LeftBehind } from "./left-behind/left-behind.js";
import type { Logger } from "./logger.js";
import type { LogSinks } from "./logs/log-sinks.js";
import type { Ordering } from "./ordering.js";
import type { SocketTable } from "./socket-table.js";

/** What the runtime of a service needs from the rest of the supervisor. */
export interface ServiceWorld {
  readonly keeper: Keeper;
  readonly keeperPid: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventLog;
  readonly sockets: SocketTable;
  readonly sinks: LogSinks;
  readonly commands: CommandRuns;
  readonly leftBehind: LeftBehind;
  readonly order: Pick<Ordering, "changed" | "isFollowed">;
  /** Some worker of some service has this socket, or a start that waits in the keeper is to have it. */
  isInUse(socket: string): boolean;
  /** Nobody may accept from this socket now. */
  isPaused(socket: string): boolean;
  readonly configFile: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Pids of all workers of all services, of their commands, and our own. */
  knownPids(): Set<number>;
  count(counter: string): void;
}
