import { KeeperError, KeeperGoneError } from "../keeper/keeper-error.js";
import type { Drained } from "../keeper/records.js";

const ENOENT = 2;
const STREAMS = ["stdout", "stderr"] as const;

/** What the keeper read from a worker's log pipes while there was no supervisor. */
export type DrainedLogs = { readonly [stream in (typeof STREAMS)[number]]?: Drained };

/** The part of the keeper that this needs. */
export interface DrainingKeeper {
  take(key: string, index: number): Promise<Drained>;
  settle(key: string, index: number): Promise<void>;
}

/** Whether the keeper reads that kept descriptor of a worker while there is no supervisor. */
export function isDrained(name: string): boolean {
  return STREAMS.some((stream) => stream === name);
}

/**
 * Takes the log pipes of a worker over: from then on the caller has to read them.
 *
 * @param kept what the worker's kept descriptors are, in order
 */
export async function takeDrained(keeper: DrainingKeeper, key: string, kept: readonly string[]): Promise<DrainedLogs> {
  const taken: { -readonly [stream in keyof DrainedLogs]: DrainedLogs[stream] } = {};
  for (const stream of STREAMS) {
    const index = kept.indexOf(stream);
    if (index >= 0) taken[stream] = await keeper.take(key, index);
  }
  return taken;
}

/** Tells the keeper that what was taken stands where it belongs: were it told before, a supervisor that dies in between would lose it uncounted. */
export async function settleDrained(keeper: DrainingKeeper, key: string, kept: readonly string[]): Promise<void> {
  for (const stream of STREAMS) {
    const index = kept.indexOf(stream);
    if (index >= 0) await keeper.settle(key, index).catch(forgotten);
  }
}

/** A worker that was acknowledged meanwhile has nothing left to settle, and without a keeper there is nobody to tell. */
function forgotten(error: Error): void {
  if (error instanceof KeeperGoneError || (error instanceof KeeperError && error.errno === ENOENT)) return;
  throw error;
}
