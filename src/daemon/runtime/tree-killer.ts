import { constants } from "node:os";
import { FdWatcher, sendSignal } from "../../ancillary/index.js";
import { readStat } from "./process-stat.js";
import { closeMembers, type TreeMember } from "./process-tree.js";

/** Looks for new members while the known ones are stopped; more only happens in a fork bomb, which is then killed in slices. */
const MAX_FREEZE_LOOKS = 16;
/**
 * SIGSTOP does not interrupt a fork that has passed its first check for signals (copy_process in kernel/fork.c), so "stopped" is only true once
 * the kernel shows it. That takes microseconds; on a machine under load, as long as the process waits for a processor. One in an uninterruptible
 * wait (D) is waited for too, because a fork waits for locks in it; so is a vfork(2) whose child is stopped, for the whole of this time.
 */
const FREEZE_TIMEOUT_MS = 100;

export interface TreeKill {
  /** Processes that ended after they were sent SIGKILL here. */
  readonly killed: number;
  /** Pids that the kernel does not let us signal (EPERM: a set-user-id program, for a supervisor without privilege). They live on. */
  readonly refused: readonly number[];
}

/** Sends one signal to each member, through its pidfd. A member that has ended is passed over. Returns the pids that may not be signalled. */
export function signalMembers(members: readonly TreeMember[], signal: number): number[] {
  return members.filter((member) => sendTo(member, signal) === "refused").map((member) => member.pid);
}

/**
 * Ends a whole tree with SIGKILL, and is done when a look finds nothing.
 *
 * 1. Look, SIGSTOP whoever was found, look again, until nobody is new. A process with a pending stop cannot complete a fork, and a stopped
 *    parent still has its children: so one that forks all the time, in a session of its own and with an empty environment, cannot
 *    leave a child behind that nothing connects to the worker.
 * 2. SIGKILL to all of them, in the same turn of the event loop.
 * 3. Wait until each pidfd says that its process has ended. There is no time limit: a process in uninterruptible sleep ends when it wakes up.
 * 4. From the beginning.
 */
export class TreeKiller {
  readonly #find: () => TreeMember[];

  /** `find` gives live members whose pidfds are owned by the receiver, e.g. `findTree`. */
  constructor(find: () => TreeMember[]) {
    this.#find = find;
  }

  async run(): Promise<TreeKill> {
    let killed = 0;
    const refused = new Set<string>();
    const refusedPids = new Set<number>();
    for (;;) {
      const members = this.#freeze(refused);
      const dying: TreeMember[] = [];
      for (const member of members) {
        if (sendTo(member, constants.signals.SIGKILL) !== "refused") dying.push(member);
        else {
          refused.add(identityOf(member));
          refusedPids.add(member.pid);
          member.pidfd.close();
        }
      }
      if (members.length === 0) return { killed, refused: [...refusedPids] };
      await Promise.all(dying.map(ended));
      closeMembers(dying);
      killed += dying.length;
    }
  }

  /** Stops everything that can be found and returns it, without those that refused before. */
  #freeze(refused: ReadonlySet<string>): TreeMember[] {
    const frozen = new Map<string, TreeMember>();
    for (let look = 0; look < MAX_FREEZE_LOOKS; look++) {
      let news = 0;
      for (const member of this.#look(frozen.size > 0)) {
        const identity = identityOf(member);
        if (frozen.has(identity) || refused.has(identity)) {
          member.pidfd.close();
          continue;
        }
        sendTo(member, constants.signals.SIGSTOP);
        frozen.set(identity, member);
        news++;
      }
      if (news > 0) continue;
      // The look that counts is one after everybody has really stopped.
      if (!awaitStop([...frozen.values()])) break;
    }
    return [...frozen.values()];
  }

  /** Whoever is stopped already must be killed even if this look fails (no descriptor left, say); the first look of the next round tells. */
  #look(someAreStopped: boolean): TreeMember[] {
    try {
      return this.#find();
    } catch (error) {
      if (someAreStopped) return [];
      throw error;
    }
  }
}

/** True if somebody had not stopped yet and has now: then another look is due. False also when the time is over: one that may not be signalled never stops. */
function awaitStop(members: readonly TreeMember[]): boolean {
  const deadline = performance.now() + FREEZE_TIMEOUT_MS;
  const goesOn = ({ pid, startTicks }: TreeMember): boolean => {
    const stat = readStat(pid);
    return stat !== undefined && stat.startTicks === startTicks && !stat.stopped && !stat.dead;
  };
  let waited = false;
  for (const member of members) {
    while (goesOn(member) && performance.now() < deadline) waited = true;
  }
  return waited && performance.now() < deadline;
}

function identityOf(member: TreeMember): string {
  return `${member.pid}:${member.startTicks}`;
}

function sendTo(member: TreeMember, signal: number): "sent" | "gone" | "refused" {
  try {
    sendSignal(member.pidfd, signal);
    return "sent";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ESRCH") return "gone";
    if (code === "EPERM") return "refused";
    throw error;
  }
}

/** A pidfd becomes readable when the last thread of its process has ended, pidfd_open(2). */
function ended(member: TreeMember): Promise<void> {
  return new Promise((resolve) => {
    const watcher = new FdWatcher(member.pidfd, () => {
      watcher.close();
      resolve();
    });
    watcher.watch({ readable: true, writable: false });
  });
}
