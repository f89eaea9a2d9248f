import { readFileSync } from "node:fs";
import { readStat } from "../process-stat.js";
import type { TreeMember } from "../process-tree.js";

/** A worker's own process, which lives on without keeper and supervisor. */
export interface LeftProcess {
  readonly service: string;
  readonly slot: number;
  readonly id: number;
  readonly invocation: string;
  /** The name of its notify socket, which nobody has any more. */
  readonly notify: string;
  readonly process: TreeMember;
  /** Who got it. */
  readonly reaper: number;
}

const WORKER = /^(.+)\/([1-9]\d*)$/;

/** Whether a process is one of these workers', or was started by one: by the mark, the session or its parents. */
export function belongsToOne(pid: number, workers: readonly LeftProcess[]): boolean {
  const invocation = environmentOf(pid).get("INVOCATION_ID");
  if (workers.some((worker) => worker.invocation === invocation)) return true;
  const leaders = new Set(workers.map(({ process }) => process.pid));
  const seen = new Set<number>();
  for (let at: number | undefined = pid; at !== undefined && at > 1 && !seen.has(at); ) {
    const stat = readStat(at);
    if (leaders.has(at) || (stat !== undefined && leaders.has(stat.session))) return true;
    seen.add(at);
    at = stat?.parent;
  }
  return false;
}

/** The workers among these processes, each with the leader of its session, which the keeper has started; the oldest where several are leaders. */
export function leftWorkers(members: readonly TreeMember[]): readonly LeftProcess[] {
  const found = new Map<string, LeftProcess>();
  for (const process of members) {
    const stat = readStat(process.pid);
    if (stat === undefined || stat.session !== process.pid) continue;
    const worker = workerOf(process, stat.parent);
    if (worker === undefined) continue;
    const known = found.get(worker.invocation);
    if (known === undefined || process.startTicks < known.process.startTicks) found.set(worker.invocation, worker);
  }
  return [...found.values()];
}

function workerOf(process: TreeMember, reaper: number): LeftProcess | undefined {
  const environment = environmentOf(process.pid);
  const place = slotOf(environment);
  const invocation = environment.get("INVOCATION_ID");
  const notify = environment.get("NOTIFY_SOCKET");
  if (place === undefined || invocation === undefined || notify === undefined) return undefined;
  const { service, slot, worker: id } = place;
  return { service, slot, id, invocation, notify, process, reaper };
}

/** Whose process it is, as its environment says. */
export function slotOf(
  environment: ReadonlyMap<string, string>,
): { readonly service: string; readonly slot: number; readonly worker: number } | undefined {
  const [, service, slot] = WORKER.exec(environment.get("HOLDFAST_WORKER") ?? "") ?? [];
  const worker = Number(environment.get("HOLDFAST_GENERATION"));
  // Commands that are about a worker have no notify socket.
  if (service === undefined || !environment.has("NOTIFY_SOCKET")) return undefined;
  if (!Number.isSafeInteger(worker) || worker < 1) return undefined;
  return { service, slot: Number(slot), worker };
}

export function environmentOf(pid: number): ReadonlyMap<string, string> {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    return new Map(entries.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]));
  } catch {
    return new Map(); // It has ended, or is somebody else's.
  }
}
