import { endianness } from "node:os";
import { readProc } from "./process-stat.js";

/** A line of /proc/net/tcp, tcp6, udp or udp6, proc_net(5). */
export interface InternetSocket {
  /** 4 or 16 bytes in network order. */
  readonly host: Uint8Array;
  readonly port: number;
  readonly listening: boolean;
  /** A closed connection that only waits for its time to pass; it keeps nobody from binding. */
  readonly lingering: boolean;
  readonly uid: number;
  readonly inode: bigint;
  /** TCP listeners: connections that wait for accept(2). Others: bytes. */
  readonly receiveQueue: number;
}

/** A line of /proc/net/unix that has a name. */
export interface UnixSocket {
  /** `@name` for abstract ones. Accepted connections carry the name of their listener. */
  readonly path: string;
  /** It listens, or takes datagrams; false for connections. */
  readonly serves: boolean;
  readonly inode: bigint;
}

const TCP_TIME_WAIT = "06";
const TCP_LISTEN = "0A";

/** All sockets of this network namespace; empty where the family does not exist. */
export function internetSockets(protocol: "tcp" | "tcp6" | "udp" | "udp6"): InternetSocket[] {
  const lines = readProc(`/proc/net/${protocol}`)?.split("\n").slice(1) ?? [];
  return lines.flatMap((line) => {
    const [, local, , state, queues, , , uid, , inode] = line.trim().split(/\s+/);
    const [address, port] = local?.split(":") ?? [];
    if (address === undefined || port === undefined || inode === undefined) return [];
    return {
      host: parseHost(address),
      port: Number.parseInt(port, 16),
      listening: protocol.startsWith("tcp") && state === TCP_LISTEN,
      lingering: protocol.startsWith("tcp") && state === TCP_TIME_WAIT,
      uid: Number(uid),
      inode: BigInt(inode),
      receiveQueue: Number.parseInt(queues?.split(":")[1] ?? "0", 16),
    };
  });
}

export function unixSockets(): UnixSocket[] {
  const lines = readProc("/proc/net/unix")?.split("\n").slice(1) ?? [];
  return lines.flatMap((line) => {
    const fields = /^\S+ \S+ \S+ (\S+) (\S+) \S+ +(\d+) (.+)$/.exec(line);
    if (fields === null) return [];
    const [, flags, type, inode, path] = fields;
    // 0x10000 is the kernel's __SO_ACCEPTCON, type 2 is SOCK_DGRAM.
    const serves = (Number.parseInt(flags!, 16) & 0x10000) !== 0 || Number.parseInt(type!, 16) === 2;
    return { path: path!, serves, inode: BigInt(inode!) };
  });
}

/** The kernel prints each 32-bit word of the address as a number of this machine. */
function parseHost(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, "hex");
  return endianness() === "LE" ? bytes.swap32() : bytes;
}
