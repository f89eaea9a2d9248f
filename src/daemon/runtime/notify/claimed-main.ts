import type { OwnedFd } from "../../../ancillary/index.js";
import { livingPidfd, wasReaped } from "../living-pidfd.js";
import { isOfTree, type NotifyReceiver } from "../notify-sender.js";
import { environmentMark, readProc, readStat } from "../process-stat.js";

/** The process that a message of sd_notify(3) names as the main one: by MAINPID and perhaps MAINPIDFDID, or by a pidfd that came with it. */
export type MainClaim = "descriptor" | { readonly pid: number; readonly inode?: bigint };

/** It is alive, or was at the look. The pidfd is the receiver's. */
export interface ClaimedMain {
  readonly pid: number;
  readonly pidfd: OwnedFd;
  readonly startTicks: bigint;
}

/**
 * Whether a worker may go on with the process that it names: one of its tree, or any if root says so. A number inside a message proves nothing,
 * so the process is held by a pidfd before it is looked at.
 *
 * @param o.fds a pidfd is taken out of them
 * @param o.others the keeper, ourselves, other workers
 * @returns or why not, to be put after "it "
 */
export function claimMain(
  claim: MainClaim,
  o: {
    readonly fds: OwnedFd[];
    readonly worker: NotifyReceiver;
    readonly byRoot: boolean;
    readonly others: ReadonlySet<number>;
    /** The keeper, if an orphan is to be believed that shows nothing of whose it is: one that has left the session and written over its environment. */
    readonly orphansOf?: number;
  },
): ClaimedMain | string {
  const found = claim === "descriptor" ? fromDescriptor(o.fds) : fromNumber(claim);
  if (typeof found === "string") return found;
  const { pid, pidfd } = found;
  const looked = look(pid, o);
  const refused = wasReaped(pidfd) ? GONE : looked;
  if (typeof refused !== "string") return { pid, pidfd, startTicks: refused };
  pidfd.close();
  return refused;
}

const GONE = "has ended";

function fromDescriptor(fds: OwnedFd[]): { readonly pid: number; readonly pidfd: OwnedFd } | string {
  if (fds.length !== 1) return `is to be the pidfd of a message with ${fds.length} descriptors`;
  const [pidfd] = fds.splice(0) as [OwnedFd];
  const pid = Number(/^Pid:\t(-?\d+)$/m.exec(readProc(`/proc/self/fdinfo/${pidfd.borrow().number}`) ?? "")?.[1]);
  if (pid > 0) return { pid, pidfd };
  pidfd.close();
  if (Number.isNaN(pid)) return "is named by a descriptor that is no pidfd";
  return pid === 0 ? "is in another PID namespace" : GONE;
}

function fromNumber({ pid, inode }: Exclude<MainClaim, "descriptor">): ReturnType<typeof fromDescriptor> {
  const pidfd = livingPidfd(pid);
  if (pidfd === undefined) return GONE;
  if (inode === undefined || pidfd.identity().ino === inode) return { pid, pidfd };
  pidfd.close();
  return `is another one than MAINPIDFDID says`;
}

function look(pid: number, o: Omit<Parameters<typeof claimMain>[1], "fds">): bigint | string {
  const stat = readStat(pid);
  if (stat === undefined || stat.dead) return GONE;
  if (pid === 1 || o.others.has(pid)) return "is none of its own";
  const isOrphan = stat.parent === o.orphansOf && environmentMark(pid, o.worker.mark) !== "other";
  return o.byRoot || isOfTree(pid, o.worker) === true || isOrphan ? stat.startTicks : "is not of its tree";
}
