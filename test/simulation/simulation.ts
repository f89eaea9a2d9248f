import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "./bundle.mjs";

export interface Simulated {
  readonly steps: number;
  readonly runs: number;
  readonly tally: Readonly<Record<string, number>>;
  readonly failure?: { readonly law: string; readonly seed: number };
  /** All that it has printed. */
  readonly text: string;
}

interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Builds a simulation, perhaps with a bug in it, and gives it away until `use` is done. */
export async function withSimulation<T>(
  changes: readonly Change[],
  use: (run: (...options: string[]) => Promise<Simulated>) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-simulation-"));
  try {
    const file = join(folder, "simulation.mjs");
    await bundle(file, changes);
    return await use((...options) => simulate(file, options));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function simulate(file: string, options: readonly string[]): Promise<Simulated> {
  const child = spawn(process.execPath, ["--max-semi-space-size=64", file, ...options], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  let complaints = "";
  child.stdout.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  child.stderr.on("data", (bytes: Buffer) => {
    complaints += bytes.toString();
  });
  await new Promise((resolve) => child.once("close", resolve));
  const last = text.trimEnd().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`the simulation has no result:\n${text}\n${complaints}`);
  return { ...(JSON.parse(last) as Omit<Simulated, "text">), text };
}
