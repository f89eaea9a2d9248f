/**
 * The simulation (docs/reliability.md), for as long as one likes.
 *
 *   npm run simulate -- --hours 2 --seed 7      until the time is over or a law is broken
 *   npm run simulate -- --steps 1000000
 *   npm run simulate -- --seed 1212 --steps 1   one run again, e.g. one that had failed
 *
 * Two processes at a time (`--processes`); each has seeds of its own. A failure is shrunk and told with its seed. Exit code: 0 or 1.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { number, readOptions } from "../bench/lib/options.mjs";
import { bundle } from "../test/simulation/bundle.mjs";

/** Runs of one process never reach the seeds of the next. */
const SEEDS_EACH = 1_000_000;

const { values } = readOptions({
  options: {
    hours: number({ whole: false }),
    steps: number({ min: 1 }),
    seed: number({ default: Date.now() % 1_000_000_007 }),
    processes: number({ min: 1, max: 64, default: 2 }),
  },
});
const processes = values.steps === 1 ? 1 : values.processes;
const minutes = values.hours === undefined ? 1e6 : values.hours * 60;
const steps = values.steps ?? (values.hours === undefined ? 1_000_000 : 1e15);
process.stdout.write(`seed ${values.seed}\n`);

const folder = mkdtempSync(join(tmpdir(), "holdfast-simulation-"));
try {
  const file = join(folder, "simulation.mjs");
  await bundle(file);
  const codes = await Promise.all(Array.from({ length: processes }, (_, index) => run(file, index)));
  process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

function run(file, index) {
  const seed = values.seed + index * SEEDS_EACH;
  const share = String(Math.ceil(steps / processes));
  const options = ["--seed", String(seed), "--steps", share, "--minutes", String(minutes)];
  const child = spawn(process.execPath, ["--max-semi-space-size=64", file, ...options], { stdio: "inherit" });
  return new Promise((resolve) => child.once("exit", resolve));
}
