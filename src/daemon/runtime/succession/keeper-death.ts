import type { HeldRecord } from "../keeper/records.js";

/** The note in the keeper's table that tells the next supervisors of it. */
export const KEEPER_DEATH_KEY = "keeper-death";

/** What is told of the last time that a keeper was killed and another one took its place. */
export interface KeeperDeath {
  readonly v: 1;
  /** How often it has happened since `holdfast run`. */
  readonly count: number;
  readonly at: string;
  readonly oldPid: number;
  readonly newPid: number;
  readonly workers: number;
  readonly sockets: number;
  readonly tookMs: number;
  /** What could not be given to the new one, by its key in the old one. */
  readonly lost: readonly string[];
  /** A supervisor has said so. */
  readonly told: boolean;
}

export function encodeKeeperDeath(death: KeeperDeath): Buffer {
  return Buffer.from(JSON.stringify(death));
}

export function decodeKeeperDeath(tag: Uint8Array | undefined): KeeperDeath | undefined {
  if (tag === undefined) return undefined;
  const death = JSON.parse(Buffer.from(tag).toString()) as KeeperDeath;
  return death.v === 1 ? death : undefined;
}

export function keeperDeathIn(held: readonly HeldRecord[]): KeeperDeath | undefined {
  return decodeKeeperDeath(held.find(({ key }) => key === KEEPER_DEATH_KEY)?.tag);
}

export function describeKeeperDeath({ oldPid, newPid, workers, sockets, tookMs, lost }: KeeperDeath): string {
  const number = (count: number, what: string): string => `${count} ${count === 1 ? what : `${what}s`}`;
  const taken = `a new one (pid ${newPid}) took over ${number(workers, "worker")} and ${number(sockets, "socket")} in ${tookMs} ms`;
  const missing = lost.length === 0 ? "" : `; lost: ${lost.join(", ")}`;
  return `the keeper (pid ${oldPid}) was killed; ${taken}${missing}`;
}
