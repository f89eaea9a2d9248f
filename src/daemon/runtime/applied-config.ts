import { memfd, readAll } from "../../ancillary/index.js";
import type { Config } from "../config/config.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";

const KEY = "config";

/**
 * The configuration that is in force, as the keeper holds it.
 *
 * A file that changed on disk changes nothing until it is applied, and a supervisor that crashed is no reason to apply it.
 */
export async function readAppliedConfig(keeper: Keeper, held: readonly HeldRecord[]): Promise<Config | undefined> {
  if (!held.some(({ key }) => key === KEY)) return undefined;
  const [fd, ...more] = await keeper.fetch("held", KEY);
  for (const extra of more) extra.close();
  if (fd === undefined) return undefined;
  try {
    return JSON.parse(readAll(fd).toString()) as Config;
  } finally {
    fd.close();
  }
}

export async function writeAppliedConfig(keeper: Keeper, config: Config): Promise<void> {
  using fd = memfd("holdfast-config", Buffer.from(JSON.stringify(config)));
  await keeper.hold(KEY, Buffer.alloc(0), [fd], true);
}
