/**
 * The product under load for as long as one likes, with faults and commands at random moments. See bench/README.md and docs/reliability.md.
 *
 *   npm run soak -- --minutes 60 [--seed 7]
 *
 * Ctrl-C ends it early, with its tables. Exits with 1 when a check does not hold.
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "./lib/machine.mjs";
import { reportSoak } from "./soak/report.mjs";
import { runSoak } from "./soak/soak-run.mjs";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
  },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write("usage: node bench/soak.mjs [--minutes 10] [--seed 7]\n");
  process.exit(2);
}
const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => ending.abort()); // A second one ends it at once.

process.stdout.write(`${describeMachine()}seed ${seed}, ${minutes} minutes\n`);
const run = await runSoak({
  minutes,
  seed,
  signal: ending.signal,
  say: (text) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`),
});
process.stdout.write(ending.signal.aborted ? "ended early\n\n" : "\n");
if (!reportSoak(run)) {
  const path = join(tmpdir(), `holdfast-soak-${seed}.log`);
  const done = [...run.faults, ...run.actions].map((each) => ({ ...each, ports: each.ports && [...each.ports] }));
  writeFileSync(path, [...done.map((each) => JSON.stringify(each)), run.output].join("\n"));
  process.stdout.write(`\nWhat was done, and the last of what Holdfast printed: ${path}\n`);
  process.exitCode = 1;
}
