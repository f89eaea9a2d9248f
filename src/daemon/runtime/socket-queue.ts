import type { OwnedFd } from "../../ancillary/index.js";
import { internetSockets } from "./kernel-sockets.js";

/**
 * Connections that wait for accept(2) now, for every listening TCP socket of this network namespace, by the inode of the socket
 * (`OwnedFd.identity().ino`). One pass over /proc/net/tcp and tcp6, whatever the number of sockets asked for afterwards.
 */
export function queueLengths(): ReadonlyMap<bigint, number> {
  const lengths = new Map<bigint, number>();
  for (const protocol of ["tcp", "tcp6"] as const) {
    for (const socket of internetSockets(protocol))
      if (socket.listening) lengths.set(socket.inode, socket.receiveQueue);
  }
  return lengths;
}

/** undefined: the kernel does not tell it for this kind (unix, udp), or the socket does not listen. */
export function queueLength(fd: OwnedFd): number | undefined {
  return queueLengths().get(fd.identity().ino);
}

/** What waits in a socket, and what the kernel has dropped there so far. */
export interface QueueLook {
  /** Connections; bytes of a datagram socket. */
  readonly queued: number;
  readonly drops: number;
}

export function queueLook(fd: OwnedFd): QueueLook {
  return { queued: queueLength(fd) ?? 0, drops: 0 };
}
