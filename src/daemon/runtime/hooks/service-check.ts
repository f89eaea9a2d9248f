import type { ServiceConfig } from "../../config/config.js";
import type { CommandRuns } from "../commands/command-runs.js";
import { keepWords } from "../commands/keep-words.js";
import type { LogRing } from "../logs/log-ring.js";

/** A service that is asked, and where what its check writes is kept; undefined: it does not run yet. */
export interface Checked {
  readonly config: ServiceConfig;
  readonly ring?: LogRing | undefined;
}

/** Runs the check of a service; undefined: it has succeeded, or there is none. Otherwise why not, in words, with the last line that it wrote. */
export async function checkProblem(
  { config: service, ring }: Checked,
  commands: Pick<CommandRuns, "run">,
): Promise<string | undefined> {
  if (service.check === undefined) return undefined;
  const { command: argv, timeoutMs } = service.check;
  const { signal } = new AbortController(); // Nobody takes it back.
  const { problem, said } = await commands.run({ service, purpose: "check", argv, env: {}, timeoutMs, signal });
  if (ring !== undefined) keepWords(ring, { service: service.name, instance: service.name, worker: 0 }, said);
  if (problem === undefined) return undefined;
  const line = said.split("\n").at(-1);
  return `its check ${argv[0]} ${problem}${line ? `: ${line}` : ""}`;
}

/** The checks of all, at the same time; the first problem, and whose it is. */
export async function firstProblem(
  services: readonly Checked[],
  commands: Pick<CommandRuns, "run">,
): Promise<{ readonly service: string; readonly problem: string } | undefined> {
  const problems = await Promise.all(services.map((one) => checkProblem(one, commands)));
  const index = problems.findIndex((problem) => problem !== undefined);
  return index < 0 ? undefined : { service: services[index]!.config.name, problem: problems[index]! };
}
