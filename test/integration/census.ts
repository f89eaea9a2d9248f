import { readdirSync, readFileSync } from "node:fs";
import { processIds, readProcess } from "../../bench/lib/proc.mjs";

/** Live processes whose environment has this `NAME=value`, as `pid name`. */
export function processesMarked(mark: string): string[] {
  return processIds()
    .filter((pid) => environment(pid).includes(mark))
    .map((pid) => readProcess(pid))
    .filter((entry) => entry !== undefined && entry.state !== "Z")
    .map((entry) => `${entry!.pid} ${entry!.name}`);
}

/** How many descriptors a process has open. */
export function descriptorCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Expects two processes to have no more descriptors open than they had, as soon as what is being closed is closed. */
export function noMoreThan(before: readonly number[]) {
  return { asymmetricMatch: (now: readonly number[]) => now.every((count, index) => count <= before[index]!) };
}

export function isRunning(pid: number): boolean {
  const entry = readProcess(pid);
  return entry !== undefined && entry.state !== "Z";
}

function environment(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // It ended while we looked, or it is a process of somebody else's that we may not read.
  }
}

/** Whether two keepers mean the same start of a process: the second one knows it from the kernel alone, which counts in ticks. */
export function isSameStart(one: { readonly startedAt?: string }, other: { readonly startedAt?: string }): boolean {
  return Math.abs(Date.parse(one.startedAt!) - Date.parse(other.startedAt!)) < 100;
}
