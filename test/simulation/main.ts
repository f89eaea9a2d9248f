/**
 * Runs of the simulation until so many steps are made or so much time has passed; the first failure is shrunk and told.
 *
 *   --seed N    the first run's; the next ones count up from it
 *   --steps N   at least so many steps in all
 *   --minutes N stops then, whatever the steps
 *   --acts N    in each run, before it is left alone
 *
 * The last line of stdout is JSON: {steps, runs, seed, milliseconds, tally, failure?}. Exit code 0, or 1 after a failure.
 */
import { parseArgs } from "node:util";
import { type Act, actsOf, type Failure, Run, type RunResult, type Tally } from "./run.js";
import { shrink } from "./shrink.js";
import { VirtualTime } from "./virtual-time.js";

const MOST_SHRINKS = 1_500;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    steps: { type: "string", default: "100000" },
    minutes: { type: "string", default: "1000000" },
    acts: { type: "string", default: "300" },
    unshrunk: { type: "boolean", default: false },
  },
});
const began = performance.now();
const time = new VirtualTime();
time.install();
let current: Run | undefined;
process.on("unhandledRejection", (error) => current?.threw(error));
process.on("uncaughtException", (error) => current?.threw(error));

const tally: Tally = {};
let steps = 0;
let runs = 0;
const first = Number(values.seed);
for (; steps < Number(values.steps) && performance.now() - began < Number(values.minutes) * 60_000; runs += 1) {
  const seed = first + runs;
  const acts = actsOf(seed, Number(values.acts));
  const result = await play(seed, acts, false);
  steps += result.steps;
  if (result.failure === undefined) continue;
  const law = result.failure.law;
  const same = async (shorter: readonly Act[]): Promise<boolean> =>
    kindOf((await play(seed, shorter, false)).failure?.law) === kindOf(law);
  const shortest = values.unshrunk ? acts : await shrink(acts, same, MOST_SHRINKS);
  const told = await play(seed, shortest, true);
  const failure = told.failure ?? result.failure;
  if (!values.unshrunk) tell(failure, seed, shortest.length);
  finish({ law: failure.law, seed, acts: shortest.length });
}
finish();

async function play(seed: number, acts: readonly Act[], telling: boolean): Promise<RunResult> {
  current = new Run(time, seed, { tally, telling });
  return current.play(acts);
}

/** The same law is broken when the words are the same but for numbers and names. */
function kindOf(law: string | undefined): string | undefined {
  const [first] = law?.split("\n") ?? [];
  return first?.replace(/\d+|"[^"]*"|\[.*\]/g, "N").replace(/\b(web|api|job)\b/g, "S");
}

function tell({ law, service, story }: Failure, seed: number, acts: number): void {
  process.stdout.write(`${law}\n\nseed ${seed}, after ${acts} acts. What happened:\n${story.world.join("\n")}\n`);
  const names = service === undefined ? story.services : [service];
  for (const name of names) process.stdout.write(`\nAs a scenario:\n${story.scenario(name)}\n`);
}

function finish(failure?: object): never {
  const milliseconds = Math.round(performance.now() - began);
  process.stdout.write(
    `${JSON.stringify({ steps, runs, seed: first, milliseconds, tally, ...(failure && { failure }) })}\n`,
  );
  process.exit(failure === undefined ? 0 : 1);
}
