import assert from "node:assert";
import type { OwnedFd } from "../../ancillary/index.js";
import { livingPidfd } from "./living-pidfd.js";
import {
  allPids,
  childrenOf,
  childrenOfMainThread,
  environmentMark,
  type ProcessStat,
  readStat,
} from "./process-stat.js";

/** One live process of a worker's tree. The pidfd is the caller's to close. */
export interface TreeMember {
  readonly pid: number;
  readonly pidfd: OwnedFd;
  readonly startTicks: bigint;
}

export interface TreeQuery {
  /** The worker itself, as long as it has not been reaped. Not in `except`. */
  readonly mainPid?: number;
  /** The worker's session: its pid, because the keeper starts each worker with setsid(2). */
  readonly session: number;
  /** `INVOCATION_ID=…`: an entry of its environment that no other worker has. */
  readonly mark: string;
  readonly keeperPid: number;
  /** Of a worker that the keeper has from one that was killed: it, and its orphans, were given to whoever is the keeper's parent. */
  readonly adopted?: boolean;
  /** Of an adopted worker that was left to somebody else: who that is. It gets what that worker leaves, too. */
  readonly reaper?: number;
  /** Of a worker that goes on with another main process: that one and the one that it was started as, wherever they stand. */
  readonly own?: readonly Pick<ProcessStat, "pid" | "startTicks">[];
  /** The other workers and the supervisor. They and what they started are never looked at. */
  readonly except: ReadonlySet<number>;
}

/** In one look; who kills them looks again. So a fork bomb cannot use up our descriptors. */
const MAX_MEMBERS = 1024;

/** After so many looks at a list that changes each time the whole of /proc is read instead; that is a good guess then, not a proof. */
const MAX_LOOKS = 64;

/**
 * The live processes that a worker started, itself included; at most 1024 of them.
 *
 * 1. Descendants of the worker while it is there, by the kernel's parent links.
 * 2. Orphans: the keeper is the subreaper, so whoever lost its parent is the keeper's child. It belongs to this worker if it is in its
 *    session or carries its mark; a process whose mark is another worker's never does.
 * 3. What is known as its own by number and start time.
 * 4. The descendants of those.
 *
 * What left the session, overwrote its environment and lost its parent between two looks is not found; only a cgroup could tell.
 *
 * An empty result is a proof for that moment: /proc/PID/children can skip an entry while an earlier one is being reaped, and an orphan appears
 * at the end of the list when its parent dies, but then the list differs in the next read; so nothing is only said between two equal reads.
 *
 * Usual cost with nothing left: two reads of one file.
 */
export function findTree(asked: TreeQuery): TreeMember[] {
  const query = asked.adopted ? amongOrphans(asked) : asked;
  const { mainPid, keeperPid, except } = query;
  assert(mainPid === undefined || !except.has(mainPid), "the worker is not one of the others");
  for (let look = 0; look < MAX_LOOKS; look++) {
    const before = childrenOfMainThread(keeperPid) ?? [];
    const members = membersAmong(before, query);
    if (members.length > 0) return members;
    const after = childrenOfMainThread(keeperPid) ?? [];
    if (before.length === after.length && before.every((pid, index) => pid === after[index])) return [];
  }
  return membersAmong(
    allPids().filter((pid) => readStat(pid)?.parent === keeperPid),
    query,
  );
}

/** The keeper and what was its children have the same parent: the nearest subreaper above, or PID 1. */
function amongOrphans(query: TreeQuery): TreeQuery {
  const given = query.reaper !== undefined && readStat(query.reaper) !== undefined ? query.reaper : undefined;
  const parent = given ?? readStat(query.keeperPid)?.parent ?? 1;
  return { ...query, keeperPid: parent, except: new Set([...query.except, query.keeperPid]) };
}

/** No live process of the tree is left. */
export function treeIsEmpty(query: TreeQuery): boolean {
  const members = findTree(query);
  closeMembers(members);
  return members.length === 0;
}

export function closeMembers(members: readonly TreeMember[]): void {
  for (const { pidfd } of members) pidfd.close();
}

function membersAmong(keeperChildren: readonly number[], query: TreeQuery): TreeMember[] {
  const spared = new Set([...query.except, query.keeperPid, process.pid, 1]);
  const found = new Map<number, TreeMember>();
  const visited = new Set(spared);
  const descend = (pid: number, belongs: (stat: ProcessStat) => boolean): void => {
    if (visited.has(pid) || found.size >= MAX_MEMBERS) return;
    visited.add(pid);
    const first = readStat(pid);
    if (first === undefined || !belongs(first)) return;
    if (first.dead) return; // Its children have been given to the keeper already.
    const member = identify(first, belongs);
    if (member === undefined) return;
    found.set(pid, member);
    for (const child of childrenOf(pid))
      descend(child, (stat) => stat.parent === pid || stat.parent === query.keeperPid);
  };
  // The number of a session is free again once nobody is in it. A live leader that is not the worker means that it was given away.
  const isOwn = (stat: ProcessStat | undefined): boolean =>
    query.own?.some(({ pid, startTicks }) => pid === stat?.pid && startTicks === stat.startTicks) ?? false;
  const sessionHolds =
    query.mainPid === query.session ||
    isOwn(readStat(query.session)) ||
    !keeperChildren.includes(query.session) ||
    readStat(query.session)?.dead !== false;
  const isRoot = (stat: ProcessStat): boolean => {
    if (isOwn(stat)) return true;
    if (stat.parent !== query.keeperPid) return false;
    if (stat.pid === query.mainPid) return true;
    const mark = environmentMark(stat.pid, query.mark);
    return mark === "same" || (sessionHolds && stat.session === query.session && mark !== "other");
  };
  try {
    for (const pid of keeperChildren) descend(pid, isRoot);
    for (const { pid } of query.own ?? []) descend(pid, isOwn);
  } catch (error) {
    closeMembers([...found.values()]);
    throw error;
  }
  return [...found.values()];
}

/** Opens the pidfd, then looks again: only the process that was examined is returned, never another one that got its number. */
function identify(examined: ProcessStat, belongs: (stat: ProcessStat) => boolean): TreeMember | undefined {
  const pidfd = livingPidfd(examined.pid);
  if (pidfd === undefined) return undefined;
  const again = readStat(examined.pid);
  if (again === undefined || again.startTicks !== examined.startTicks || !belongs(again)) {
    pidfd.close();
    return undefined;
  }
  return { pid: examined.pid, pidfd, startTicks: examined.startTicks };
}
