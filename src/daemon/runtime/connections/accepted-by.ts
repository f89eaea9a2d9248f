import { findInternetSocket, findUnixSocket, type SocketAddress } from "../../../ancillary/index.js";

/** "waiting": the connection was made and nobody has accepted it yet. undefined: there is none (any more), or its other end is not in this network namespace. */
export type OtherEnd = { readonly inode: bigint } | "waiting" | undefined;

/** The socket that a TCP connection of ours was accepted as. `client` and `server` are the ends as the client has them (getsockname, getpeername). */
export function acceptedTcp(client: SocketAddress, server: SocketAddress): OtherEnd {
  const found = findInternetSocket("tcp", server, client);
  if (found === undefined || found.state === "listen" || found.state === "time-wait") return undefined;
  return found.inode === 0 ? "waiting" : { inode: BigInt(found.inode) };
}

/** The same for a unix stream or seqpacket connection, by the inode of the client's socket. */
export function acceptedUnix(client: bigint): OtherEnd {
  const found = findUnixSocket(Number(client));
  if (found === undefined || found.state !== "established") return undefined;
  return found.peer === 0 ? "waiting" : { inode: BigInt(found.peer) };
}
