import { memfd, readAll } from "../../ancillary/index.js";
import type { Config, ServiceConfig, SocketConfig } from "../config/config.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";

const KEY = "config";

/** What is not of the configuration in force and may be there all the same, while an `apply` is under way: it has to go. */
export interface Leaving {
  readonly services: readonly ServiceConfig[];
  readonly sockets: readonly SocketConfig[];
}

export interface AppliedConfig {
  readonly config: Config;
  readonly leaving: Leaving;
}

export const nothingLeaves: Leaving = { services: [], sockets: [] };

/**
 * The configuration that is in force, as the keeper holds it.
 *
 * A file that changed on disk changes nothing until it is applied, and a supervisor that crashed is no reason to apply it.
 */
export async function readAppliedConfig(
  keeper: Keeper,
  held: readonly HeldRecord[],
): Promise<AppliedConfig | undefined> {
  if (!held.some(({ key }) => key === KEY)) return undefined;
  const [fd, ...more] = await keeper.fetch("held", KEY);
  for (const extra of more) extra.close();
  if (fd === undefined) return undefined;
  try {
    return JSON.parse(readAll(fd).toString()) as AppliedConfig;
  } finally {
    fd.close();
  }
}

/** Replaces what is held, in one step. */
export async function writeAppliedConfig(keeper: Keeper, applied: AppliedConfig): Promise<void> {
  using fd = memfd("holdfast-config", Buffer.from(JSON.stringify(applied)));
  await keeper.hold(KEY, Buffer.alloc(0), [fd], true);
}
