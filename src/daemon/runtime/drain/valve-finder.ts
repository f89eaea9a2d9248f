import type { SocketConfig } from "../../config/config.js";
import type { Valve } from "../../lifecycle/drain.js";
import { openSocketsOf } from "../connections/open-sockets.js";
import { kernelTellsConnections } from "../connections/sockets-look.js";
import type { SocketTable } from "../socket-table.js";
import { findValve, type HeldSocket } from "../valve/find-valve.js";
import { valveWords } from "../valve/valve-words.js";

export interface ValveQuestion {
  /** Of its whole tree. */
  readonly pids: readonly number[];
  readonly sockets: readonly SocketConfig[];
  readonly lane: number | undefined;
}

/** What can keep new connections from a worker, as it waits now; and why there is nothing better. Changes nothing. */
export function valveOf({ pids, sockets, lane }: ValveQuestion, table: SocketTable): Valve {
  const unseen = whyUnseen(pids);
  if (unseen !== undefined) return { kind: "signal", why: unseen };
  const shared = sharedSockets(sockets, table);
  if (shared.length === 0)
    return lane === undefined ? { kind: "signal", why: "its sockets take no connections" } : { kind: "steered" };
  const found = findValve(pids, shared);
  const words = valveWords(found);
  if (words === "epoll") return { kind: "epoll", registrations: found.registrations };
  return { kind: "signal", why: words.replace(/^signal \((.*)\)$/s, "$1") };
}

/** As `status` shows it. */
export function wordsOf(valve: Valve): string {
  return valve.kind === "signal" ? `signal (${valve.why})` : valve.kind;
}

/** The sockets that the worker has in common with others, as the keeper holds them. */
export function sharedSockets(sockets: readonly SocketConfig[], table: SocketTable): HeldSocket[] {
  return sockets.filter(({ distribution }) => distribution === "shared").flatMap((socket) => table.held(socket));
}

/** A drain that cannot be seen is none. */
function whyUnseen(pids: readonly number[]): string | undefined {
  if (pids.length === 0) return "no process of it is left";
  if (!kernelTellsConnections()) return "the kernel tells nothing of its connections: sock_diag(7) is missing";
  const [pid] = openSocketsOf(pids).unseen;
  return pid === undefined
    ? undefined
    : `not permitted to look into pid ${pid}: it is another user's, not dumpable, or Yama forbids it`;
}
