/**
 * What the keeper holds of processes that a worker has left behind: `left/SERVICE/SLOT/WORKER`, with the read ends of the pipes that they write to.
 * So the next supervisor knows of them, and what they log has a reader.
 */
import type { ProcessStat } from "../process-stat.js";
import type { TreeQuery } from "../process-tree.js";

const VERSION = 1;
const PREFIX = "left/";

/** How to find them again. */
export interface RemnantNote {
  readonly service: string;
  readonly slot: number;
  readonly worker: number;
  readonly session: number;
  readonly mark: string;
  /** The keeper that they were left to. With another one they are among the orphans of whoever is above it. */
  readonly keeper: number;
  readonly adopted?: boolean;
  readonly reaper?: number;
  /** Known by number and start time: a program that leaves its session and writes over its environment cannot be found by another sign. */
  readonly own: readonly Pick<ProcessStat, "pid" | "startTicks">[];
}

export function remnantKey({ service, slot, worker }: Pick<RemnantNote, "service" | "slot" | "worker">): string {
  return `${PREFIX}${service}/${slot}/${worker}`;
}

export function isRemnantKey(key: string): boolean {
  return key.startsWith(PREFIX);
}

export function encodeRemnant({ own, ...note }: RemnantNote): Buffer {
  const ticks = own.map(({ pid, startTicks }) => [pid, String(startTicks)]);
  return Buffer.from(JSON.stringify({ v: VERSION, ...note, own: ticks }));
}

/** undefined if it was not written by a version that this one can read. */
export function decodeRemnant(tag: Buffer): RemnantNote | undefined {
  try {
    const { v, own, ...note } = JSON.parse(tag.toString()) as Omit<RemnantNote, "own"> & {
      v: number;
      own: [number, string][];
    };
    if (v !== VERSION) return undefined;
    return { ...note, own: own.map(([pid, ticks]) => ({ pid, startTicks: BigInt(ticks) })) };
  } catch {
    return undefined;
  }
}

/** @param except the workers that run now, and the supervisor */
export function queryOf(note: RemnantNote, keeperPid: number, except: ReadonlySet<number>): TreeQuery {
  const { session, mark, own, keeper, adopted, reaper } = note;
  const elsewhere = adopted === true || keeper !== keeperPid;
  return {
    session,
    mark,
    own,
    keeperPid,
    ...(elsewhere ? { adopted: true } : {}),
    ...(reaper === undefined ? {} : { reaper }),
    except,
  };
}
