import { readlinkSync } from "node:fs";
import { dumpInternetSockets } from "../../ancillary/index.js";
import type { Address } from "../config/config.js";
import { kernelTellsConnections } from "./connections/sockets-look.js";
import { userName } from "./identity.js";
import { type InternetSocket, internetSockets, unixSockets } from "./kernel-sockets.js";
import { allPids, listProc, readProc } from "./process-stat.js";

/** Who holds an address. `pid` and `command` are missing where /proc of other users may not be read. */
export interface PortOwner {
  readonly pid?: number;
  /** The name of the program, comm in proc(5). */
  readonly command?: string;
  readonly user: string;
}

/**
 * The process that keeps this address from being bound: the one with the lowest pid among those that have the socket open.
 * A wildcard address collides with every address of the same port. undefined: nobody is seen in this network namespace.
 * It reads the descriptors of all processes, so it is for messages after a failure only.
 */
export function findOwner(address: Address): PortOwner | undefined {
  switch (address.kind) {
    case "fifo":
      return undefined;
    case "tcp":
    case "udp": {
      const held = findInternetSocket(address);
      return held && ownerOf(held);
    }
    default: {
      const inodes = unixSockets().filter((socket) => socket.path === address.path);
      const pid = holderOf(new Set(inodes.map((socket) => socket.inode)));
      return pid === undefined ? undefined : describe(pid);
    }
  }
}

type InternetAddress = Extract<Address, { readonly port: number }>;

/** A socket of this network namespace, and the user that made it. */
export type UsersSocket = Pick<InternetSocket, "inode" | "uid">;

/** Who has the socket: of several processes the one with the lowest pid. */
export function ownerOf({ inode, uid }: UsersSocket): PortOwner {
  const pid = holderOf(new Set([inode]));
  return pid === undefined ? { user: userName(uid) } : describe(pid);
}

/**
 * The sockets that share what comes in at this address. Where the kernel is asked for them alone it is cheap, however many connections there are.
 *
 * @param ipv6Only the socket at the address takes no IPv4 (IPV6_V6ONLY), so that one of IPv4 with the same port shares nothing with it
 */
export function serving(address: InternetAddress, ipv6Only: boolean): UsersSocket[] {
  const { kind, host, family, port } = address;
  if (!kernelTellsConnections()) return colliding(address).filter((socket) => kind === "udp" || socket.listening);
  const states = kind === "tcp" ? (["listen"] as const) : (["close", "established"] as const);
  const wanted = hostBytes(host, family);
  const families = ipv6Only ? (["ipv6"] as const) : (["ipv4", "ipv6"] as const);
  return families
    .flatMap((of) => [...dumpInternetSockets({ protocol: kind, family: of, states, ports: [port] })])
    .filter(({ local }) => collides(hostBytes(local.host, local.host.includes(":") ? "ipv6" : "ipv4"), wanted))
    .map(({ inode, uid }) => ({ inode: BigInt(inode), uid }));
}

function findInternetSocket(address: InternetAddress): InternetSocket | undefined {
  const all = colliding(address);
  return all.find((socket) => socket.listening) ?? all[0];
}

function colliding({ kind, host, port, family }: InternetAddress): InternetSocket[] {
  const all = [...internetSockets(kind), ...internetSockets(`${kind}6`)];
  const wanted = hostBytes(host, family);
  return all.filter((socket) => socket.port === port && !socket.lingering && collides(socket.host, wanted));
}

/** Equal, or one of them is a wildcard that covers the other. An IPv6 wildcard covers IPv4 as well unless it is IPv6 only, which is not shown. */
function collides(a: Uint8Array, b: Uint8Array): boolean {
  const [left, right] = [canonical(a), canonical(b)];
  if (isWildcard(left) || isWildcard(right))
    return left.length === right.length || [left, right].some((host) => host.length === 16 && isWildcard(host));
  return Buffer.compare(left, right) === 0;
}

function isWildcard(host: Uint8Array): boolean {
  return host.every((byte) => byte === 0);
}

/** ::ffff:a.b.c.d is a.b.c.d. */
function canonical(host: Uint8Array): Uint8Array {
  const mapped =
    host.length === 16 && host.subarray(0, 10).every((byte) => byte === 0) && host[10] === 0xff && host[11] === 0xff;
  return mapped ? host.subarray(12) : host;
}

function hostBytes(host: string, family: "ipv4" | "ipv6"): Uint8Array {
  if (family === "ipv4") return Uint8Array.from(host.split(".").map(Number));
  const [head = "", tail] = expandDotted(host.split("%")[0] ?? host).split("::");
  const words = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const all = [...left, ...new Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

/** ::ffff:1.2.3.4 as ::ffff:102:304. */
function expandDotted(host: string): string {
  return host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const word = (high: string, low: string): string => ((Number(high) << 8) | Number(low)).toString(16);
    return `${word(a, b)}:${word(c, d)}`;
  });
}

function holderOf(inodes: ReadonlySet<bigint>): number | undefined {
  if (inodes.size === 0) return undefined;
  const links = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  return allPids()
    .sort((a, b) => a - b)
    .find((pid) => openFiles(pid).some((link) => links.has(link)));
}

function openFiles(pid: number): string[] {
  let numbers: string[];
  try {
    numbers = listProc(`/proc/${pid}/fd`);
  } catch {
    return []; // EACCES: another user's process. What may be seen of it is its uid in /proc/net.
  }
  return numbers.flatMap((number) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${number}`);
    } catch {
      return []; // Closed since the folder was read.
    }
  });
}

function describe(pid: number): PortOwner {
  const uid = /^Uid:\s+(\d+)/m.exec(readProc(`/proc/${pid}/status`) ?? "")?.[1];
  const command = readProc(`/proc/${pid}/comm`)?.trimEnd();
  return {
    pid,
    ...(command === undefined ? {} : { command }),
    user: uid === undefined ? "unknown" : userName(Number(uid)),
  };
}

/** `"nginx" (pid 123, user root)`, or as much of it as is known. */
export function ownerInWords(owner: PortOwner | undefined): string {
  if (owner === undefined) return "a process that can't be seen from here";
  if (owner.pid === undefined) return `a process of user ${owner.user}`;
  return `${owner.command === undefined ? "a process" : `"${owner.command}"`} (pid ${owner.pid}, user ${owner.user})`;
}
