import type { SocketAddress } from "../../../ancillary/index.js";
import { acceptedTcp, acceptedUnix, type OtherEnd } from "../connections/accepted-by.js";
import { holderOf } from "../connections/open-sockets.js";

/** Who has a connection that we have made. */
export type Taker =
  /** A process of this worker's tree. */
  | "worker"
  /** It is accepted, and no process of the tree has it. */
  | "other"
  /** It is accepted, no process of the tree that may be looked at has it, and there are others. */
  | "unseen"
  /** Nobody has accepted it yet. */
  | "waiting"
  /** It is closed again, or it has left this network namespace. */
  | "gone";

/** The client's end, by which the kernel knows the other one. */
export type ClientEnd =
  | { readonly kind: "tcp"; readonly local: SocketAddress; readonly remote: SocketAddress }
  | { readonly kind: "unix"; readonly inode: bigint };

/** Asks the kernel once. `pids`: the processes of the worker's tree now. */
export function takerOf(client: ClientEnd, pids: readonly number[]): Taker {
  const end = otherEnd(client);
  if (end === undefined) return "gone";
  if (end === "waiting") return "waiting";
  const holder = holderOf(end.inode, pids);
  return holder === undefined ? "other" : holder === "unseen" ? "unseen" : "worker";
}

function otherEnd(client: ClientEnd): OtherEnd {
  return client.kind === "tcp" ? acceptedTcp(client.local, client.remote) : acceptedUnix(client.inode);
}
