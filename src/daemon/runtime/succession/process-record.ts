import { systemClock } from "../clock.js";
import type { ChildRecord } from "../keeper/records.js";
import { readProc } from "../process-stat.js";
import type { Started } from "./started-unheard.js";

/** What a keeper would say of a process that runs and that it has not started. */
export function recordOf(key: string, { pid, startTicks }: Started): ChildRecord {
  return {
    key,
    state: "running",
    pid,
    by: "spawn",
    adopted: true,
    startedAt: startedAt(startTicks),
    endedAt: 0,
    status: 0,
    stage: 0,
    errno: 0,
    signals: 0n,
    userMicros: 0,
    systemMicros: 0,
    maxRssKib: 0,
  };
}

/** Clock ticks since boot, of which there are 100 a second, on the clock of the keeper's records. */
function startedAt(startTicks: bigint): number {
  const uptimeMs = Number(readProc("/proc/uptime")?.split(" ")[0] ?? 0) * 1_000;
  return Math.max(1, systemClock.monotonic() - (uptimeMs - Number(startTicks) * 10));
}
