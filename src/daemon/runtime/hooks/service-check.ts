import type { ServiceConfig } from "../../config/config.js";
import type { CommandRuns } from "../commands/command-runs.js";

/** Runs the check of a service; undefined: it has succeeded, or there is none. Otherwise why not, in words, with the last line that it wrote. */
export async function checkProblem(
  service: ServiceConfig,
  commands: Pick<CommandRuns, "run">,
): Promise<string | undefined> {
  if (service.check === undefined) return undefined;
  const { command: argv, timeoutMs } = service.check;
  const { signal } = new AbortController(); // Nobody takes it back.
  const { problem, said } = await commands.run({ service, purpose: "check", argv, env: {}, timeoutMs, signal });
  if (problem === undefined) return undefined;
  const line = said.split("\n").at(-1);
  return `its check ${argv[0]} ${problem}${line ? `: ${line}` : ""}`;
}
