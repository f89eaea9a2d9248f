import { readdirSync, readlinkSync } from "node:fs";
import type { ConnectionLook } from "../connections/connection-look.js";
import type { Keeper } from "../keeper/keeper-client.js";
import { livingPidfd } from "../living-pidfd.js";

/** Of one frame of the keeper's protocol. */
const MOST_AT_ONCE = 256;

/**
 * Shuts the sending side of TCP connections that a process of these has open: their clients see an orderly end, and the program one once they have closed
 * theirs. (shutdown(2) of the receiving side was tried: until the program has read that end and closed, requests still arrive, and are lost; three
 * times as many under load.) A connection that has another number,
 * or none, by now is left alone, and so is one on which something has come since it was looked at.
 *
 * @returns the inodes of those for which that was done
 */
export async function closeConnections(
  keeper: Pick<Keeper, "shut">,
  pids: readonly number[],
  connections: readonly ConnectionLook[],
): Promise<bigint[]> {
  const received = new Map(
    connections.filter(({ kind }) => kind === "tcp").map((one) => [one.inode, BigInt(one.bytesReceived)]),
  );
  const done: bigint[] = [];
  for (const pid of received.size === 0 ? [] : pids) {
    const found = socketsOf(pid).flatMap((socket) => {
      const bytes = received.get(socket.inode);
      return bytes !== undefined && received.delete(socket.inode) ? [{ ...socket, received: bytes }] : [];
    });
    if (found.length === 0) continue;
    using pidfd = livingPidfd(pid);
    if (pidfd === undefined) continue;
    for (const some of chunks(found)) {
      const errnos = await keeper.shut(some, pidfd);
      done.push(...some.filter((_, index) => errnos[index] === 0).map(({ inode }) => inode));
    }
  }
  return done;
}

function socketsOf(pid: number): { readonly fd: number; readonly inode: bigint }[] {
  const folder = `/proc/${pid}/fd`;
  return names(folder).flatMap((name) => {
    const inode = /^socket:\[(\d+)\]$/.exec(target(`${folder}/${name}`))?.[1];
    return inode === undefined ? [] : [{ fd: Number(name), inode: BigInt(inode) }];
  });
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // It has ended, and its connections with it.
  }
}

function target(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // It was closed since the folder was read.
  }
}

function chunks<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / MOST_AT_ONCE) }, (_, index) =>
    all.slice(index * MOST_AT_ONCE, (index + 1) * MOST_AT_ONCE),
  );
}
