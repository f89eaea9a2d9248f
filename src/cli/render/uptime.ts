import type { ServiceView, WorkerView } from "../../daemon/control/api.js";
import { formatDuration } from "../duration.js";

/** Since its start; empty for one that does not run. */
export function workerUptime(worker: WorkerView, now: number): string {
  if (worker.startedAt === undefined || worker.phase === "exited") return "";
  return formatDuration(now - Date.parse(worker.startedAt));
}

/** Of the current worker that has run for the longest. */
export function serviceUptime(service: ServiceView, now: number): string {
  const starts = runningWorkers(service)
    .filter(({ startedAt }) => startedAt !== undefined)
    .map(({ startedAt }) => Date.parse(startedAt!));
  return starts.length === 0 ? "" : formatDuration(now - Math.min(...starts));
}

export function runningWorkers(service: ServiceView): readonly WorkerView[] {
  return service.workers.filter(({ phase }) => phase !== "exited");
}

/** "12s ago", "in 3.0s". */
export function relativeTime(at: string, now: number): string {
  const difference = Date.parse(at) - now;
  return difference > 0 ? `in ${formatDuration(difference)}` : `${formatDuration(-difference)} ago`;
}
