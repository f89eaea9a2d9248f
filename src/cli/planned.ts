import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import type { PlanView } from "../daemon/control/api.js";
import type { ControlClient } from "./client.js";
import type { CommandContext } from "./command.js";
import { exitCode } from "./exit-code.js";
import { Failure } from "./failure.js";

/**
 * The supervisor's plan, after its warnings. The supervisor reads its own files and no others; so a file that `-c` names must be its main one,
 * or somebody would take the plan of one file for that of another. Throws a `Failure`.
 */
export async function plannedBy(client: ControlClient, context: CommandContext): Promise<PlanView> {
  const plan = await client.plan();
  const { config } = context.options;
  const main = plan.files[0] ?? "";
  if (config !== undefined && real(resolve(context.cwd, config)) !== real(main)) {
    throw new Failure(exitCode.usage, `the supervisor at ${client.socketPath} runs ${main}, not ${config}`);
  }
  for (const warning of plan.warnings) context.err.write(`${warning}\n`);
  return plan;
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // Not there, or not for us to see: then the name alone counts.
  }
}
