import { randomBytes } from "node:crypto";
import { readProcess } from "../bench/lib/proc.mjs";
import { until } from "../bench/lib/until.mjs";
import { processesMarked } from "./integration/census.js";

/**
 * The census of a whole run of vitest (`globalSetup`): a process that a test has started and not ended makes the run fail, and is ended.
 * One that was given an environment without this is not seen here.
 */
const name = "HOLDFAST_TEST_RUN";
const mark = randomBytes(8).toString("hex");

export function setup(): void {
  process.env[name] = mark;
}

export async function teardown(): Promise<void> {
  try {
    await until("the end of all processes of the tests", () => left().length === 0, { timeoutMs: 5_000, everyMs: 50 });
  } catch (cause) {
    process.exitCode = 1; // vitest only prints what is thrown here.
    const words = left();
    for (const entry of words) process.kill(Number.parseInt(entry, 10), "SIGKILL");
    throw new Error(`processes of the tests are left: ${words.join(", ")}`, { cause });
  }
}

/** Without the processes of vitest itself, which end after this. */
function left(): string[] {
  return processesMarked(`${name}=${mark}`).filter(
    (entry) => readProcess(Number.parseInt(entry, 10))?.parent !== process.pid,
  );
}
