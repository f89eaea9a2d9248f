import type { NotifyMessage } from "../../ancillary/index.js";
import { environmentMark, readStat } from "./process-stat.js";

export interface NotifyReceiver {
  readonly pid: number;
  readonly uid: number;
  /** `INVOCATION_ID=…` */
  readonly mark: string;
}

/** Of what a worker says and does not count, the first is worth a line in the log, and then each of so many. */
export const LINE_EACH = 1_000;

/** Parents are looked at up to this depth; a deeper process is not believed. */
const MAX_DEPTH = 64;

/**
 * Whether the sender, whom the kernel named (SCM_CREDENTIALS), speaks for the worker: it is the worker, descends from
 * it, is in its session, or carries its mark.
 *
 * A sender that has ended already cannot be looked at. It is believed if it ran as the worker's user or as root, because
 * such a process could have traced the worker and made it say the same.
 */
export function speaksFor(message: Pick<NotifyMessage, "pid" | "uid">, worker: NotifyReceiver): boolean {
  if (message.pid === worker.pid) return true;
  let stat = readStat(message.pid);
  if (stat === undefined) return message.uid === 0 || message.uid === worker.uid;
  if (stat.session === worker.pid) return true;
  for (let depth = 0; depth < MAX_DEPTH && stat !== undefined && stat.parent > 1; depth += 1) {
    if (stat.parent === worker.pid) return true;
    stat = readStat(stat.parent);
  }
  return environmentMark(message.pid, worker.mark) === "same";
}
