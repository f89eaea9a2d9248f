import type { Keeper } from "./keeper/keeper-client.js";
import { KeeperError } from "./keeper/keeper-error.js";
import type { ChildRecord } from "./keeper/records.js";
import type { Logger } from "./logger.js";

const ENOENT = 2;
const ESRCH = 3;
const SIGKILL = 9;

export function isOver({ state }: ChildRecord): boolean {
  return state !== "starting" && state !== "running";
}

/** A process that no state knows, because its state could not be read: it is ended, so that it never runs beside a known one. */
export function endStray(keeper: Keeper, log: Logger, record: ChildRecord): void {
  const over = isOver(record);
  if (!over) log.error(`${record.key} (pid ${record.pid}) belongs to no instance that is known: SIGKILL`);
  const asked = over ? keeper.acknowledge(record.key) : keeper.signal(record.key, SIGKILL);
  asked.catch((error: Error) => {
    // The last news of an acknowledged worker may arrive twice.
    if (error instanceof KeeperError && [ENOENT, ESRCH].includes(error.errno)) return;
    log.error(`${record.key}: ${error.message}`);
  });
}
