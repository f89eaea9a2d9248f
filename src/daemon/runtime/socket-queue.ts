import { dumpInternetSockets, dumpUnixSockets, type OwnedFd, type SocketState } from "../../ancillary/index.js";
import { kernelTellsConnections } from "./connections/sockets-look.js";
import { internetSockets } from "./kernel-sockets.js";

/** What waits in a socket, and what the kernel has dropped there so far. */
export interface QueueLook {
  /** Connections that wait for accept(2). undefined: the kernel does not tell it for this kind (datagrams), or the socket does not listen. */
  readonly queued: number | undefined;
  /** Connections, or datagrams, that came while its queue was full, since the socket was made; 0 for unix sockets, where the client is told. */
  readonly drops: number;
}

const NOTHING: QueueLook = { queued: undefined, drops: 0 };

/**
 * One look at all of these sockets, in their order. It asks for listening sockets alone: /proc/net/tcp has every connection of the machine, also those that are
 * long closed (30 ms of work with 3,000 of them), and is read only where sock_diag(7) is missing.
 */
export function queueLooks(fds: readonly OwnedFd[]): readonly QueueLook[] {
  if (fds.length === 0) return [];
  const inodes = fds.map((fd) => Number(fd.identity().ino));
  const looks = kernelTellsConnections() ? look(new Set(inodes)) : lookInProc();
  return inodes.map((inode) => looks.get(inode) ?? NOTHING);
}

/** Kinds are asked for one after the other, as long as a socket is not found. */
function look(wanted: ReadonlySet<number>): ReadonlyMap<number, QueueLook> {
  const looks = new Map<number, QueueLook>();
  for (const { inode, receiveQueue, drops } of internet("tcp", ["listen"]))
    if (wanted.has(inode)) looks.set(inode, { queued: receiveQueue, drops });
  if (looks.size === wanted.size) return looks;
  for (const { inode, receiveQueue } of dumpUnixSockets({ states: ["listen"] }))
    if (wanted.has(inode)) looks.set(inode, { queued: receiveQueue, drops: 0 });
  if (looks.size === wanted.size) return looks;
  for (const { inode, drops } of internet("udp", ["close", "established"]))
    if (wanted.has(inode)) looks.set(inode, { queued: undefined, drops });
  return looks;
}

function internet(protocol: "tcp" | "udp", states: readonly SocketState[]) {
  return (["ipv4", "ipv6"] as const).flatMap((family) => [...dumpInternetSockets({ protocol, family, states })]);
}

function lookInProc(): ReadonlyMap<number, QueueLook> {
  const all = [...internetSockets("tcp"), ...internetSockets("tcp6")].filter(({ listening }) => listening);
  return new Map(all.map(({ inode, receiveQueue }) => [Number(inode), { queued: receiveQueue, drops: 0 }]));
}
