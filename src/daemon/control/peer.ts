import type { Socket } from "node:net";
import { peerCredentials } from "../../ancillary/index.js";

/** Who connected, as the kernel recorded it at connect(2). The pid is for messages only: it may be reused by now. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * SO_PEERCRED of an accepted unix connection (unix(7)).
 *
 * Node has no public way to the descriptor of a socket; `_handle.fd` has been there since 0.10 and is used here
 * and nowhere else. The descriptor stays Node's. Throws the system call's error, also for a connection that ended meanwhile.
 */
export function credentialsOf(socket: Socket): PeerCredentials {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd: number } | null };
  if (handle === undefined || handle === null || handle.fd < 0) {
    throw Object.assign(new Error("the connection has ended"), { code: "EBADF", syscall: "getsockopt" });
  }
  const { pid, uid, gid } = peerCredentials(handle.fd);
  return { pid, uid, gid };
}
