import type { ServiceView } from "../daemon/control/api.js";
import type { ControlClient } from "./client.js";
import type { CommandContext } from "./command.js";
import { isGlob, matchNames } from "./names.js";

export interface NamedServices {
  readonly services: readonly ServiceView[];
  /** One plain name was asked for, and it is there. */
  readonly single: boolean;
  /** Names and patterns that meant nothing; each was told on stderr. */
  readonly missing: number;
}

/** The services that the operands of a command name, in their order; what names none is told on stderr. */
export async function servicesNamed(
  context: CommandContext,
  client: ControlClient,
  patterns: readonly string[],
): Promise<NamedServices> {
  const { found, missing } = matchNames(patterns, await client.services());
  for (const { message } of missing) context.err.write(`holdfast: ${message}\n`);
  return {
    services: found,
    single: patterns.length === 1 && found.length === 1 && !isGlob(patterns[0]!),
    missing: missing.length,
  };
}
