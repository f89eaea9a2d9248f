import type { OwnedFd } from "../../../ancillary/index.js";
import type { Keeper } from "../keeper/keeper-client.js";
import type { HeldRecord } from "../keeper/records.js";
import type { Logger } from "../logger.js";
import type { WorkerOutput } from "../logs/worker-output.js";
import { readStat } from "../process-stat.js";
import { closeMembers, type TreeMember } from "../process-tree.js";
import { settlesWithin } from "../settles-within.js";
import { WorkerTree } from "../worker-tree.js";
import { decodeRemnant, encodeRemnant, isRemnantKey, queryOf, type RemnantNote, remnantKey } from "./remnant-note.js";
import { openRemnantOutput, type ServiceOutput } from "./remnant-output.js";

const SIGTERM = 15;
/** Of one service. One that crashes over and over and leaves something each time must not use up our descriptors. */
const MOST_REMNANTS = 64;
/** Of one worker: more are found by mark, session and descent alone. */
const MOST_OWN = 256;

export interface LeftBehindInput {
  readonly keeper: Pick<Keeper, "hold" | "release" | "fetch">;
  readonly keeperPid: number;
  readonly log: Logger;
  readonly knownPids: () => ReadonlySet<number>;
  /** undefined: there is no such service any more. */
  readonly outputOf: (service: string) => ServiceOutput | undefined;
}

/** What a worker leaves behind: how it is found, without the processes. */
export type Leaving = Omit<RemnantNote, "keeper">;

interface Remnant {
  readonly note: RemnantNote;
  readonly tree: WorkerTree;
  readonly output?: WorkerOutput;
}

/**
 * Processes that workers with `stop.kill = "process"` have left behind. They are nobody's workers and are left alone, but known: they are counted, what
 * they write is read, and the end of Holdfast is theirs too. Whoever is gone is noticed when somebody asks.
 */
export class LeftBehind {
  readonly #o: LeftBehindInput;
  readonly #remnants = new Map<string, Remnant>();

  constructor(input: LeftBehindInput) {
    this.#o = input;
  }

  /** What an earlier supervisor knew of. What has come since is newer. */
  async adopt(held: readonly HeldRecord[]): Promise<void> {
    for (const { key, tag } of held) {
      if (!isRemnantKey(key) || this.#remnants.has(key)) continue;
      const note = decodeRemnant(tag);
      if (note === undefined) continue;
      const pipes = await this.#o.keeper.fetch("held", key);
      this.#keep(key, note, pipes);
      this.#count(key);
    }
  }

  /**
   * Remembers what lives on of a worker whose own process has ended.
   *
   * @param pipes duplicates of what they write to, if that is read here; called, and owned from then on, if somebody is left
   * @returns how many there are
   */
  take(leaving: Leaving, pipes: () => readonly OwnedFd[]): number {
    const note: RemnantNote = { ...leaving, keeper: this.#o.keeperPid };
    const members = this.#treeOf(note).members();
    closeMembers(members);
    if (members.length === 0) return 0;
    const known = { ...note, own: rootsOf(members).slice(0, MOST_OWN) };
    const key = remnantKey(known);
    const fds = pipes();
    this.#send("hold", key, this.#o.keeper.hold(key, encodeRemnant(known), fds, true));
    this.#drop(key);
    this.#keep(key, known, fds);
    this.#bound(known.service);
    return members.length;
  }

  /** How many processes the workers of a service have left behind that are still there. */
  count(service: string): number {
    return this.#keysOf(service).reduce((sum, key) => sum + this.#count(key), 0);
  }

  /** Returns how many got it. */
  signal(service: string, signal: number): number {
    return this.#keysOf(service).reduce((sum, key) => sum + (this.#remnants.get(key)?.tree.signal(signal) ?? 0), 0);
  }

  /** SIGTERM to all that is left, SIGKILL to what is there after that time; it resolves when nothing is. What goes wrong is the keeper's: it kills whatever is left. */
  async end(withinMs: number): Promise<void> {
    try {
      await this.#tellAll(withinMs);
    } catch (error) {
      this.#o.log.error(`what workers have left behind could not be asked to end: ${(error as Error).message}`, {
        error,
      });
    }
  }

  async #tellAll(withinMs: number): Promise<void> {
    const keys = [...this.#remnants.keys()].filter((key) => this.#count(key) > 0);
    if (keys.length === 0) return;
    const count = keys.reduce((sum, key) => sum + this.#count(key), 0);
    this.#o.log.info(`what workers have left behind ends as well: SIGTERM to ${count}`);
    const trees = keys.flatMap((key) => this.#remnants.get(key)?.tree ?? []);
    const told = Promise.all(trees.map((tree) => tree.tell(SIGTERM)));
    if (await settlesWithin(told, withinMs)) return;
    this.#o.log.warn("something that workers have left behind ignores SIGTERM: SIGKILL");
    await this.kill();
  }

  /** SIGKILL, without any time. */
  async kill(): Promise<void> {
    await Promise.allSettled([...this.#remnants.values()].map(({ tree }) => tree.kill()));
  }

  /** Lets go of everything without ending a process. The keeper goes on holding. */
  close(): void {
    const remnants = [...this.#remnants.values()];
    this.#remnants.clear();
    for (const { output } of remnants) output?.close();
  }

  #keep(key: string, note: RemnantNote, pipes: readonly OwnedFd[]): void {
    const [stdout, stderr] = pipes;
    const both = stdout !== undefined && stderr !== undefined;
    if (!both) for (const fd of pipes) fd.close();
    const outputOf = (): ServiceOutput | undefined => this.#o.outputOf(note.service);
    const onEnd = (): void => this.#silent(key, note);
    const output = both ? openRemnantOutput(note, [stdout, stderr], { outputOf, onEnd }) : undefined;
    this.#remnants.set(key, { note, tree: this.#treeOf(note), ...(output === undefined ? {} : { output }) });
  }

  /** Nobody writes there any more, most likely because nobody is left: the keeper need not hold the pipes. */
  #silent(key: string, note: RemnantNote): void {
    if (this.#remnants.get(key)?.note !== note) return;
    this.#send("hold", key, this.#o.keeper.hold(key, encodeRemnant(note), [], true));
    this.#count(key);
  }

  #treeOf(note: RemnantNote): WorkerTree {
    return new WorkerTree(() => queryOf(note, this.#o.keeperPid, this.#o.knownPids()));
  }

  #keysOf(service: string): string[] {
    return [...this.#remnants].flatMap(([key, { note }]) => (note.service === service ? [key] : []));
  }

  /** Forgets it if nobody is left. */
  #count(key: string): number {
    const members = this.#remnants.get(key)?.tree.members() ?? [];
    closeMembers(members);
    if (members.length === 0) this.#forget(key);
    return members.length;
  }

  /** Those that are gone make room first. */
  #bound(service: string): void {
    if (this.#keysOf(service).length <= MOST_REMNANTS) return;
    for (const key of this.#keysOf(service)) this.#count(key);
    const [oldest] = this.#keysOf(service);
    if (oldest === undefined || this.#keysOf(service).length <= MOST_REMNANTS) return;
    this.#o.log.warn(
      `${service}: more than ${MOST_REMNANTS} workers have left processes behind; those of the oldest are not known any more, nor is what they write read`,
    );
    this.#forget(oldest);
  }

  #forget(key: string): void {
    this.#drop(key);
    this.#send("release", key, this.#o.keeper.release(key));
  }

  #drop(key: string): void {
    const remnant = this.#remnants.get(key);
    this.#remnants.delete(key); // First: the end of its pipes may show while they are closed.
    remnant?.output?.close();
  }

  #send(what: string, key: string, asked: Promise<void>): void {
    asked.catch((error: Error) => this.#o.log.error(`could not ${what} ${key}: ${error.message}`, { error }));
  }
}

/** Without those that descend from others among them. */
function rootsOf(members: readonly TreeMember[]): { readonly pid: number; readonly startTicks: bigint }[] {
  const pids = new Set(members.map(({ pid }) => pid));
  return members.flatMap(({ pid, startTicks }) => {
    const parent = readStat(pid)?.parent;
    return parent !== undefined && pids.has(parent) ? [] : [{ pid, startTicks }];
  });
}
