import { fstatSync } from "node:fs";
import type { NotifyMessage } from "../../ancillary/index.js";
import { wasReaped } from "./living-pidfd.js";
import { environmentMark, readStat } from "./process-stat.js";

export interface NotifyReceiver {
  /** Its main process. */
  readonly pid: number;
  /** The inode of a pidfd of it; missing: only its number is known. */
  readonly process?: bigint;
  /** Its session: the pid that it was started with. */
  readonly session: number;
  readonly uid: number;
  /** Whoever gets its orphans as children; missing: not known. */
  readonly keeper?: number;
  /** `INVOCATION_ID=…` */
  readonly mark: string;
}

/** Of what a worker says and does not count, the first is worth a line in the log, and then each of so many. */
export const LINE_EACH = 1_000;

/** Parents are looked at up to this depth; a deeper process is not believed. */
const MAX_DEPTH = 64;

/**
 * Whether the sender, whom the kernel named (SCM_CREDENTIALS, and SCM_PIDFD where it has that), speaks for the worker: it is of its tree.
 *
 * A sender that has ended already cannot be looked at, and an orphan may show nothing. Such a one is believed if it ran as the worker's user or as root, because
 * such a process could have traced the worker and made it say the same. The main process itself is believed whoever it ran as: it may have dropped root,
 * and said its last words with its last breath.
 */
export function speaksFor(message: Pick<NotifyMessage, "pid" | "uid" | "pidfd">, worker: NotifyReceiver): boolean {
  const main = isMain(message, worker);
  if (main !== undefined) return main;
  const seen = isOfTree(message.pid, worker);
  const gone = seen === undefined || (message.pidfd !== undefined && wasReaped(message.pidfd));
  if (seen && !gone) return true;
  return (gone || isNamelessOrphan(message.pid, worker)) && (message.uid === 0 || message.uid === worker.uid);
}

/** It has left parent and session and shows nothing of whose it is: a daemon that has forked twice and written over its environment. */
function isNamelessOrphan(pid: number, { keeper, mark }: NotifyReceiver): boolean {
  return keeper !== undefined && readStat(pid)?.parent === keeper && environmentMark(pid, mark) !== "other";
}

/** undefined: that cannot be told by more than its number. */
function isMain({ pid, pidfd }: Pick<NotifyMessage, "pid" | "pidfd">, worker: NotifyReceiver): boolean | undefined {
  if (pid !== worker.pid || worker.process === undefined) return undefined;
  if (pidfd !== undefined) return fstatSync(pidfd.number, { bigint: true }).ino === worker.process;
  // Older kernels give no pidfd (6.5), or none of what was reaped (6.16). Its number is free for the moment in which the news of its end is on the way.
  return true;
}

/** Whether a process is the worker, descends from it, is in its session, or carries its mark; undefined: there is none of that number. */
export function isOfTree(pid: number, worker: NotifyReceiver): boolean | undefined {
  if (pid === worker.pid) return true;
  let stat = readStat(pid);
  if (stat === undefined) return undefined;
  if (stat.session === worker.session) return true;
  for (let depth = 0; depth < MAX_DEPTH && stat !== undefined && stat.parent > 1; depth += 1) {
    if (stat.parent === worker.pid) return true;
    stat = readStat(stat.parent);
  }
  return environmentMark(pid, worker.mark) === "same";
}
