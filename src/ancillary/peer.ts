import { native } from "./native.js";
import { type Fd, numberOf, OwnedFd } from "./owned-fd.js";

/** Who is at the other end, as the kernel says. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/**
 * SO_PEERCRED: who connected, listened or made the pair, at that time. `uid` 4294967295 and `pid` 0 mean that nobody is there.
 * A bare number is allowed for descriptors that Node's own handles hold.
 */
export function peerCredentials(fd: Fd | number): PeerCredentials {
  return native.peerCredentials(typeof fd === "number" ? fd : numberOf(fd));
}

/** SO_PEERGROUPS: the supplementary groups that the peer had then; `gid` of its credentials is not among them unless it was one. Throws ENODATA where there is no peer. */
export function peerGroups(fd: Fd): number[] {
  return native.peerGroups(numberOf(fd));
}

/**
 * SO_PEERPIDFD (Linux 6.5): the very process that connected, listened or made the pair, however its pid is used later; the descriptor
 * belongs to the caller. Throws ENOPROTOOPT on older kernels (ask `kernelOffers` first), ENODATA where there is no peer, ESRCH or EINVAL once it has been reaped.
 */
export function peerPidfd(fd: Fd): OwnedFd {
  return OwnedFd.adopt(native.peerPidfd(numberOf(fd)));
}
