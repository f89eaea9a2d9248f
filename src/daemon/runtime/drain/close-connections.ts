import { readdirSync, readlinkSync } from "node:fs";
import { openPidfd } from "../../../ancillary/index.js";
import type { ConnectionLook } from "../connections/connection-look.js";
import type { Keeper } from "../keeper/keeper-client.js";

/** Of one frame of the keeper's protocol. */
const MOST_AT_ONCE = 256;

/**
 * Shuts the sending side of connections that a process of these has open: their clients see an orderly end, and the program an end once they have closed
 * theirs. A connection that has another number, or none, by now is left alone.
 */
export async function closeConnections(
  keeper: Pick<Keeper, "shut">,
  pids: readonly number[],
  connections: readonly ConnectionLook[],
): Promise<void> {
  const wanted = new Map(connections.filter(({ kind }) => kind === "tcp").map(({ inode }) => [inode, inode]));
  for (const pid of pids) {
    const found = socketsOf(pid).filter(({ inode }) => wanted.delete(inode));
    if (found.length === 0) continue;
    using pidfd = openPidfd(pid);
    await Promise.all(chunks(found).map((some) => keeper.shut(some, pidfd)));
  }
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
