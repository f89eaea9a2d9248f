import { readFileSync, readlinkSync } from "node:fs";
import { FdWatcher } from "../../../ancillary/index.js";
import { SUPERVISOR_VARIABLE } from "../environment.js";
import { livingPidfd } from "../living-pidfd.js";
import { allPids, environmentMark, readProc, readStat } from "../process-stat.js";
import { closeMembers, type TreeMember } from "../process-tree.js";
import { signalMembers, TreeKiller } from "../tree-killer.js";

const SIGTERM = 15;
const WORKER = "HOLDFAST_WORKER=";
/** From SIGTERM to SIGKILL: nobody knows the stop policy that they were started with. */
const STOPPED_WITHIN_MS = 10_000;
const NAMED = 10;

/**
 * Processes that an earlier run with this control socket has left: its keeper and its supervisor were killed, and nobody watches them. Whoever starts
 * workers beside them runs everything twice.
 *
 * The name of a socket means the same only where the same files are mounted: what runs in a container is none of ours.
 */
export class LeftOvers {
  readonly #mark: string;
  readonly #ours: ReadonlySet<number>;

  constructor(control: string) {
    this.#mark = `${SUPERVISOR_VARIABLE}=${control}`;
    this.#ours = ancestors();
  }

  /** The pid of a keeper that lives and runs this configuration, although nobody listens on its control socket: then they are its workers. */
  keeper(): number | undefined {
    const own = argumentsOf(process.ppid);
    return allPids().find((pid) => {
      if (this.#ours.has(pid) || readStat(pid)?.parent === process.ppid) return false;
      const other = argumentsOf(pid);
      return other[0] === own[0] && configuration(other) === configuration(own) && sharesMounts(pid);
    });
  }

  /** Each as `web/1 (pid 4711, node)`; at most ten, then how many more there are. */
  inWords(): readonly string[] {
    const members = this.#find();
    closeMembers(members);
    const words = members.slice(0, NAMED).map(({ pid }) => describe(pid));
    return members.length <= NAMED ? words : [...words, `and ${members.length - NAMED} more`];
  }

  /** All that live, also what workers have started. The caller closes them. */
  members(): readonly TreeMember[] {
    return this.#find();
  }

  /**
   * SIGTERM to those that lead a session, which are the workers; SIGKILL to all that is left when they have ended, or not in time.
   *
   * @param isSpared which of them are left alone
   */
  async end(isSpared: (pid: number) => boolean = () => false): Promise<void> {
    const find = (): TreeMember[] => {
      const all = this.#find().map((member) => ({ member, spare: isSpared(member.pid) }));
      closeMembers(all.filter(({ spare }) => spare).map(({ member }) => member));
      return all.filter(({ spare }) => !spare).map(({ member }) => member);
    };
    const members = find();
    const workers = members.filter(({ pid }) => readStat(pid)?.session === pid);
    signalMembers(workers, SIGTERM);
    await allEnd(workers, STOPPED_WITHIN_MS);
    closeMembers(members);
    await new TreeKiller(find).run();
  }

  #find(): TreeMember[] {
    return allPids().flatMap((pid) => {
      if (this.#ours.has(pid) || environmentMark(pid, this.#mark) !== "same" || !sharesMounts(pid)) return [];
      const pidfd = livingPidfd(pid);
      const stat = readStat(pid);
      // The number may have gone to another process meanwhile.
      if (pidfd !== undefined && stat !== undefined && !stat.dead && environmentMark(pid, this.#mark) === "same")
        return [{ pid, pidfd, startTicks: stat.startTicks }];
      pidfd?.close();
      return [];
    });
  }
}

/** Of this process, itself included: who runs Holdfast in a worker of its own has its mark. */
function ancestors(): Set<number> {
  const found = new Set<number>();
  for (let pid: number | undefined = process.pid; pid !== undefined && pid > 0 && !found.has(pid); ) {
    found.add(pid);
    pid = readStat(pid)?.parent;
  }
  return found;
}

/** Empty of one that has ended, is dead, or is somebody else's. */
function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

function configuration(argv: readonly string[]): string | undefined {
  const at = argv.indexOf("-c");
  return at < 0 ? undefined : argv[at + 1];
}

function sharesMounts(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync("/proc/self/ns/mnt");
  } catch {
    return false; // It has ended, or is somebody else's.
  }
}

function describe(pid: number): string {
  let worker = "a command";
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    worker = entries.find((entry) => entry.startsWith(WORKER))?.slice(WORKER.length) ?? worker;
  } catch {
    // It has ended since it was found.
  }
  return `${worker} (pid ${pid}, ${readProc(`/proc/${pid}/comm`)?.trim() ?? "gone"})`;
}

function allEnd(members: readonly TreeMember[], withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    const waiting = new Set<FdWatcher>();
    const settle = (): void => {
      clearTimeout(timer);
      for (const watcher of waiting) watcher.close();
      resolve();
    };
    const timer = setTimeout(settle, withinMs);
    for (const { pidfd } of members) {
      const watcher = new FdWatcher(pidfd, () => {
        watcher.close();
        waiting.delete(watcher);
        if (waiting.size === 0) settle();
      });
      waiting.add(watcher);
      watcher.watch({ readable: true, writable: false });
    }
    if (members.length === 0) settle();
  });
}
