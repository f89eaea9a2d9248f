import { setTimeout as wait } from "node:timers/promises";
import { COMMAND_PREFIX } from "../commands/command-runs.js";
import { KeeperClient } from "../keeper/keeper-client.js";
import { KeeperError } from "../keeper/keeper-error.js";
import { KeeperMirror, type MirroredChild } from "../keeper/keeper-mirror.js";
import type { ChildRecord, KeptDescriptor } from "../keeper/records.js";
import { livingPidfd } from "../living-pidfd.js";
import { isDrained } from "../logs/drained-logs.js";
import { readProc } from "../process-stat.js";
import { decodeKeeperDeath, encodeKeeperDeath, KEEPER_DEATH_KEY, type KeeperDeath } from "./keeper-death.js";
import { recordOf } from "./process-record.js";
import { hasEnded, type KeeperProcess, lookAtKeeper, type StartedKeeper, startKeeper } from "./start-keeper.js";
import { findStarted } from "./started-unheard.js";

const ENDED_WITHIN_MS = 800;
/** New keepers that are tried: somebody may kill one after the other. */
const TRIES = 5;
const RETRY_MS = 50;
/** Of the descriptors that we may have, duplicates take no more than this part. */
const ROOM = 0.75;
const SIGNALS = { 2: "SIGINT", 3: "SIGQUIT", 15: "SIGTERM" } as const;

export interface Inheritance {
  /** How many supervisors there have been. */
  readonly supervisors: number;
  readonly nofile: bigint;
  /** Numbers of signals to the old keeper: a stop that was asked for stays asked for. */
  readonly signals: readonly number[];
  /** The new supervisor must not start before: what this one still writes is written. */
  readonly written: Promise<unknown>;
  /** Whether it is ours to give, and not another supervisor's; asked once the keeper is dead. */
  readonly isOurs: () => boolean;
}

/**
 * What happens when the keeper is killed: this process, which has a duplicate of all that it held, starts another one and gives it everything;
 * then it ends, and the new keeper starts a new supervisor (docs/adr/0013-keeper-death.md).
 */
export class Succession {
  readonly mirror = new KeeperMirror(roomForDuplicates());
  readonly #supervisor: readonly string[];
  #keeper: KeeperProcess | undefined;

  /** @param supervisor the words that the next supervisor is started with: those of this one, which the keeper may have got later than its own */
  constructor(keeperPid: number, supervisor: readonly string[]) {
    this.#supervisor = supervisor;
    this.#keeper = lookAtKeeper(keeperPid);
  }

  /** It is the same process, with another program. */
  keeperReExecuted(): void {
    const now = this.#keeper && lookAtKeeper(this.#keeper.pid);
    if (now === undefined) return; // What is known still holds, as far as it does.
    this.#keeper?.pidfd.close();
    this.#keeper = now;
  }

  /** Resolves once another keeper has everything, or is to get it from somebody else, or with the reason why none has, in words. */
  async handOver(inheritance: Inheritance): Promise<string | undefined> {
    const since = performance.now();
    const keeper = this.#keeper;
    if (keeper === undefined) return "nothing is known of its program";
    if (!this.mirror.isFilled) return "not all that it held had been taken over yet";
    if (!(await hasEnded(keeper, ENDED_WITHIN_MS))) return "it has closed its channel and lives";
    if (!inheritance.isOurs()) return undefined;
    await this.#findUnheard(keeper);
    let problem = "";
    for (let tried = 0; tried < TRIES; tried += 1) {
      if (tried > 0) await wait(RETRY_MS);
      try {
        await this.#giveAll(await startKeeper(keeper, this.#supervisor), { ...inheritance, oldPid: keeper.pid, since });
        return undefined;
      } catch (error) {
        problem = (error as Error).message;
      }
    }
    return problem;
  }

  /** Children and arms of which the keeper had not said that they were started: they may run all the same. */
  async #findUnheard(keeper: KeeperProcess): Promise<void> {
    const unheard = [...this.mirror.children]
      .filter(([, { record }]) => record === undefined || record.state === "starting")
      .map(([key, child]) => ({ key, child, invocation: tagOf(child).invocation ?? "" }));
    const { acceptors, children } = this.mirror;
    if (unheard.length + acceptors.size === 0) return;
    const invocations = new Set(unheard.map(({ invocation }) => invocation));
    const accepted = [...acceptors].map(([key, tag]) => ({ key, tag, known: numbersOf(key, children) }));
    const acceptorOf = (invocation: string) =>
      accepted.find(({ tag, known }) => {
        const number = numberOf(tagOf({ tag }).invocation, invocation);
        return number !== undefined && !known.has(number);
      });
    const started = await findStarted(
      (invocation) => invocations.has(invocation) || acceptorOf(invocation) !== undefined,
      keeper,
    );
    for (const [invocation, found] of started) {
      const acceptor = acceptorOf(invocation);
      const pidfd = acceptor && livingPidfd(found.pid);
      if (acceptor === undefined || pidfd === undefined) continue;
      const key = `${acceptor.key}/${numberOf(tagOf(acceptor).invocation, invocation)}/unknown`;
      const record: ChildRecord = { ...recordOf(key, found), by: "connection" };
      children.set(key, { tag: acceptor.tag, fds: [], record, pidfd });
    }
    for (const { key, child, invocation } of unheard) {
      const found = started.get(invocation);
      const pidfd = found && livingPidfd(found.pid);
      // Without a process it is started again by whoever reads the state.
      child.record = found && pidfd && recordOf(key, found);
      child.pidfd = pidfd;
    }
  }

  async #giveAll(
    { pid, channel }: StartedKeeper,
    o: Inheritance & { readonly oldPid: number; readonly since: number },
  ): Promise<void> {
    const keeper = new KeeperClient(channel, pid, {
      child: (_record, _tag, pidfd) => pidfd?.close(),
      acceptor: () => {},
      signalled: () => {}, // It tells each supervisor again.
      dropped: () => {},
      ended: () => {}, // What waits for a reply is told.
    });
    try {
      await keeper.attach();
      const lost: string[] = [];
      const give = (key: string, given: Promise<void>): Promise<void> =>
        given.catch((error: Error) => {
          if (!(error instanceof KeeperError)) throw error;
          lost.push(key);
        });
      const all: Promise<void>[] = [];
      const known = [...this.mirror.children].filter(([, { record }]) => record !== undefined);
      for (const [key, { tag, fds }] of this.mirror.held) {
        if (key === KEEPER_DEATH_KEY) continue;
        if (fds === undefined) lost.push(key);
        else all.push(give(key, keeper.hold(key, tag, fds)));
      }
      for (const [key, child] of known) all.push(give(key, adopt(keeper, child)));
      await Promise.all(all);
      await o.written;
      const death = this.#death({ ...o, newPid: pid, workers: known.filter(isWorker).length, lost });
      await keeper.hold(KEEPER_DEATH_KEY, encodeKeeperDeath(death), []);
      for (const signal of o.signals) {
        const name = SIGNALS[signal as keyof typeof SIGNALS];
        if (name !== undefined) process.kill(pid, name);
      }
      await keeper.handedOver(o.supervisors, o.nofile);
    } finally {
      keeper.close();
    }
  }

  #death(o: {
    readonly oldPid: number;
    readonly newPid: number;
    readonly since: number;
    readonly workers: number;
    readonly lost: readonly string[];
  }): KeeperDeath {
    const { oldPid, newPid, workers, lost, since } = o;
    const before = decodeKeeperDeath(this.mirror.held.get(KEEPER_DEATH_KEY)?.tag);
    return {
      v: 1,
      oldPid,
      newPid,
      workers,
      lost,
      count: (before?.count ?? 0) + 1,
      at: new Date().toISOString(),
      sockets: [...this.mirror.held.keys()].filter((key) => key.startsWith("socket/")).length,
      tookMs: Math.round(performance.now() - since),
      told: false,
    };
  }
}

/** Of a process for a connection: its arm's INVOCATION_ID is the beginning of its own, and its number is the rest. */
function numberOf(arm: string | undefined, invocation: string): number | undefined {
  const rest = arm && invocation.startsWith(arm) ? invocation.slice(arm.length) : "";
  return /^[0-9a-f]{16}$/.test(rest) ? Number.parseInt(rest, 16) : undefined;
}

/** Those of its processes that the keeper has told of. */
function numbersOf(arm: string, children: ReadonlyMap<string, unknown>): ReadonlySet<number> {
  const own = [...children.keys()].filter((key) => key.startsWith(`${arm}/`));
  return new Set(own.map((key) => Number(key.slice(arm.length + 1).split("/")[0])));
}

function adopt(keeper: KeeperClient, child: MirroredChild): Promise<void> {
  const { tag, pidfd } = child;
  const record = child.record as ChildRecord;
  const kept = child.fds ?? [];
  const runs = record.state === "running" && pidfd !== undefined;
  const names = tagOf(child).keep ?? [];
  const keep: KeptDescriptor[] = kept.map((_, index) => ({
    frame: index + (runs ? 1 : 0),
    drained: isDrained(names[index] ?? ""),
  }));
  // Without its pidfd nobody can say what became of it.
  const told: ChildRecord = record.state === "running" && !runs ? { ...record, state: "lost" } : record;
  return keeper.adopt(told, tag, keep, runs ? [pidfd, ...kept] : kept);
}

/** Workers and commands: what both write into their tags. */
function tagOf({ tag }: Pick<MirroredChild, "tag">): {
  readonly invocation?: string;
  readonly keep?: readonly string[];
} {
  try {
    return JSON.parse(Buffer.from(tag).toString());
  } catch {
    return {}; // Of a later version.
  }
}

function isWorker([key, { record }]: readonly [string, MirroredChild]): boolean {
  return record?.state === "running" && !key.startsWith(COMMAND_PREFIX);
}

function roomForDuplicates(): number {
  const soft = /^Max open files\s+(\d+)/m.exec(readProc("/proc/self/limits") ?? "")?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft) * ROOM;
}
