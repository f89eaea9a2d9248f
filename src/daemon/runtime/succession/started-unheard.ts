import { readFileSync, readlinkSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { allPids, readStat } from "../process-stat.js";
import type { KeeperProcess } from "./start-keeper.js";

/** So long may a process be between fork and exec, where nothing of it tells which start it is. */
const EXECUTED_WITHIN_MS = 500;
const PAUSE_MS = 2;
const NAME = "INVOCATION_ID=";

export interface Started {
  readonly pid: number;
  readonly startTicks: bigint;
}

/**
 * Processes that the keeper started and was killed before it could say so. `isUnheard`: nothing is known of the one with this INVOCATION_ID. The result has the worker's
 * own process of each that is there: the leader of its session, and the oldest where several are.
 */
export async function findStarted(
  isUnheard: (invocation: string) => boolean,
  keeper: KeeperProcess,
): Promise<ReadonlyMap<string, Started>> {
  const deadline = performance.now() + EXECUTED_WITHIN_MS;
  while (someAreForked(keeper) && performance.now() < deadline) await wait(PAUSE_MS);
  const found = new Map<string, Started>();
  for (const pid of allPids()) {
    const invocation = invocationOf(pid);
    if (invocation === undefined || !isUnheard(invocation)) continue;
    const stat = readStat(pid);
    if (stat === undefined || stat.session !== pid) continue;
    const known = found.get(invocation);
    if (known === undefined || stat.startTicks < known.startTicks)
      found.set(invocation, { pid, startTicks: stat.startTicks });
  }
  return found;
}

/** A child that has not executed yet still looks like its keeper. */
function someAreForked({ pid: keeperPid, program, argv }: KeeperProcess): boolean {
  const line = `${argv.join("\0")}\0`;
  return allPids().some((pid) => {
    if (pid === keeperPid) return false;
    try {
      return readlinkSync(`/proc/${pid}/exe`) === program && readFileSync(`/proc/${pid}/cmdline`, "utf8") === line;
    } catch {
      return false; // It has ended, or is a process of somebody else's.
    }
  });
}

function invocationOf(pid: number): string | undefined {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    return entries.find((entry) => entry.startsWith(NAME))?.slice(NAME.length);
  } catch {
    return undefined; // As above.
  }
}
