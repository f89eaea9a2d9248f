/** What the keeper had of workers, and they have still. */
import { constants, openSync, readlinkSync } from "node:fs";
import {
  descriptorOf,
  getSocketOption,
  localAddress,
  NotifySocket,
  OwnedFd,
  type SocketAddress,
  sendSignal,
} from "../../../ancillary/index.js";
import type { Address, SocketConfig } from "../../config/config.js";
import { internetSockets, unixSockets } from "../kernel-sockets.js";
import { listProc, readProc } from "../process-stat.js";
import type { TreeMember } from "../process-tree.js";
import { canonicalAddress, socketKeys } from "../socket-key.js";

export interface RegainedSocket {
  readonly fd: OwnedFd;
  /** As it is bound. */
  readonly address: string;
}

/** SO_TYPE and SO_PROTOCOL do not tell tcp from a unix stream; the family of the address does. */
const TYPES: Partial<Record<Address["kind"], number>> = {
  tcp: 1,
  udp: 2,
  unix: 1,
  "unix-dgram": 2,
  "unix-seqpacket": 5,
};

/**
 * The sockets of the configuration that any of these processes has open, by the keeper's keys; duplicates, which the caller closes. An address that two
 * sockets have is not among them, nor one whose port the kernel chooses.
 */
export function regainSockets(
  members: readonly TreeMember[],
  sockets: readonly SocketConfig[],
): ReadonlyMap<string, RegainedSocket> {
  const wanted = new Map<string, string>();
  for (const socket of sockets.filter(({ distribution }) => distribution === "shared")) {
    const keys = socketKeys(socket);
    for (const [index, address] of socket.listen.entries()) wanted.set(canonicalAddress(address), keys[index]!);
  }
  const found = new Map<string, RegainedSocket | "several">();
  const serving = servingSockets();
  const seen = new Set<bigint>();
  for (const { member, number, inode } of socketsOf(members)) {
    if (!serving.has(inode) || seen.has(inode)) continue;
    const fd = duplicateOf(member, number);
    if (fd === undefined) continue; // Another process may have it where it may be taken.
    seen.add(inode);
    const address = fd.identity().ino === inode ? addressOf(fd) : undefined;
    const key = address && wanted.get(address);
    const before = key === undefined ? undefined : found.get(key);
    if (key === undefined || address === undefined || before !== undefined) fd.close();
    if (key === undefined || address === undefined) continue;
    if (before !== undefined && before !== "several") before.fd.close();
    found.set(key, before === undefined ? { fd, address } : "several");
  }
  return new Map([...found].flatMap(([key, one]) => (one === "several" ? [] : [[key, one] as const])));
}

/** Which of a socket's addresses a worker cannot do without: a fifo is opened anew by its path. */
export function needsDescriptor({ kind }: Address): boolean {
  return kind !== "fifo";
}

/**
 * The reading end of the pipe that a worker writes its stdout or stderr to, with what waits in it; undefined: that is no pipe, or somebody reads it already.
 * `members`: those who might.
 */
export function regainPipe(
  { pid, pidfd }: TreeMember,
  number: 1 | 2,
  members: readonly TreeMember[],
): OwnedFd | undefined {
  const link = linkOf(pid, number);
  if (link?.startsWith("pipe:[") !== true) return undefined;
  if (members.some((member) => reads(member.pid, link))) return undefined;
  try {
    const fd = OwnedFd.adopt(
      openSync(`/proc/${pid}/fd/${number}`, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
    );
    if (lives(pidfd) && linkOf("self", fd.borrow().number) === link) return fd;
    fd.close();
  } catch {
    // It has ended, or its pipe may not be opened by us.
  }
  return undefined;
}

/** A notify socket under the name that a worker knows; undefined: somebody else has taken it. */
export function regainNotify(name: string): NotifySocket | undefined {
  try {
    return NotifySocket.bind(name);
  } catch {
    return undefined;
  }
}

function socketsOf(
  members: readonly TreeMember[],
): readonly { readonly member: TreeMember; readonly number: number; readonly inode: bigint }[] {
  return members.flatMap((member) =>
    listProc(`/proc/${member.pid}/fd`).flatMap((name) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(member.pid, Number(name)) ?? "")?.[1];
      return inode === undefined ? [] : [{ member, number: Number(name), inode: BigInt(inode) }];
    }),
  );
}

/** Inodes of sockets that listen or take datagrams, in this network namespace. */
function servingSockets(): ReadonlySet<bigint> {
  const internet = (["tcp", "tcp6", "udp", "udp6"] as const).flatMap((protocol) =>
    internetSockets(protocol).filter(({ listening }) => listening || protocol.startsWith("udp")),
  );
  return new Set([...internet, ...unixSockets().filter(({ serves }) => serves)].map(({ inode }) => inode));
}

function duplicateOf({ pidfd }: TreeMember, number: number): OwnedFd | undefined {
  try {
    return descriptorOf(pidfd, number);
  } catch {
    return undefined; // Closed meanwhile, ended, or not allowed.
  }
}

function addressOf(fd: OwnedFd): string | undefined {
  try {
    const type = getSocketOption(fd, "SO_TYPE");
    const local = localAddress(fd);
    const internet = local.kind !== "unix";
    const kind = (Object.keys(TYPES) as Address["kind"][]).find(
      (one) => TYPES[one] === type && (one === "tcp" || one === "udp") === internet,
    );
    return kind && canonicalAddress(asConfigured(kind, local));
  } catch {
    return undefined; // Of another family.
  }
}

function asConfigured(kind: Address["kind"], local: SocketAddress): Address {
  const place =
    local.kind === "unix" ? { path: local.path } : { host: local.host, port: local.port, family: local.kind };
  return { kind, ...place } as Address;
}

function lives(pidfd: OwnedFd): boolean {
  try {
    sendSignal(pidfd, 0);
    return true;
  } catch {
    return false;
  }
}

function reads(pid: number, link: string): boolean {
  return listProc(`/proc/${pid}/fd`).some((name) => {
    if (linkOf(pid, Number(name)) !== link) return false;
    const flags = /^flags:\s+(\d+)$/m.exec(readProc(`/proc/${pid}/fdinfo/${name}`) ?? "")?.[1];
    // O_WRONLY is 1; the access mode is in the lowest two bits.
    return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== constants.O_WRONLY;
  });
}

function linkOf(pid: number | "self", number: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${number}`);
  } catch {
    return undefined;
  }
}
