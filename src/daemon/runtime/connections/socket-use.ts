import { dumpInternetSockets, dumpUnixSockets, type InternetSocketInfo } from "../../../ancillary/index.js";
import { type Inode, type Waiting, waitsForSocket } from "../listening.js";
import { readProc, readStat } from "../process-stat.js";
import { internetEnd } from "./connection-look.js";
import { openSocketsOf } from "./open-sockets.js";

/** An address that a worker serves by itself, beside the sockets it was given. */
export interface OwnListener {
  readonly kind: "tcp" | "udp" | "unix" | "unix-dgram" | "unix-seqpacket";
  /** `127.0.0.1:3000`, `/run/a.sock`, `@name`. */
  readonly address: string;
  /** The first of the tree that has it open. */
  readonly pid: number;
}

/** What a tree of processes does with the sockets that it was given, in one look. */
export interface SocketUse {
  /** One of its processes has one of them open. An inherited descriptor that nobody uses counts. "not-permitted": none that may be looked at. */
  readonly holds: Waiting;
  /** One of its processes waits for one of them (accept, epoll, poll, …). */
  readonly waits: Waiting;
  readonly own: readonly OwnListener[];
}

const UNIX_KINDS = { stream: "unix", datagram: "unix-dgram", seqpacket: "unix-seqpacket" } as const;
/** A name that the kernel chose, for a socket that nobody is meant to find: unix(7), autobind. */
const CHOSEN_NAME = /^@[0-9a-f]{5}$/;

/**
 * Looks once. Fifos are not looked for. It reads all listening sockets of the network namespace and the descriptors of the tree, so it is for messages and
 * for the moment when a worker is judged, not for a loop.
 *
 * Not among the worker's own: UDP sockets on an ephemeral port of every address, which is what a client of a name server looks like.
 */
export function socketUseOf(pids: readonly number[], given: readonly Inode[]): SocketUse {
  const { byPid, unseen } = openSocketsOf(pids);
  const ours = new Set(given.map(({ ino }) => Number(ino)));
  const holders = new Map<number, number>();
  for (const [pid, inodes] of byPid) {
    for (const inode of inodes) if (!holders.has(inode)) holders.set(inode, pid);
  }
  const holds = [...ours].some((inode) => holders.has(inode)) ? "yes" : unseen.length > 0 ? "not-permitted" : "no";
  for (const inode of ours) holders.delete(inode);
  return { holds, waits: waitsOf(pids, given), own: [...internetListeners(holders), ...unixListeners(holders)] };
}

function waitsOf(pids: readonly number[], given: readonly Inode[]): Waiting {
  const all = new Set(pids);
  // The others are looked at with the process that they descend from.
  const roots = pids.filter((pid) => !all.has(readStat(pid)?.parent ?? 0));
  const looks = roots.map((pid) => waitsForSocket(pid, given));
  return looks.find((look) => look === "yes") ?? looks.find((look) => look === "not-permitted") ?? "no";
}

function internetListeners(holders: ReadonlyMap<number, number>): OwnListener[] {
  const [low, high] = ephemeralPorts();
  const isClient = ({ local }: InternetSocketInfo): boolean =>
    local.port === 0 || (local.port >= low && local.port <= high && (local.host === "0.0.0.0" || local.host === "::"));
  return (["tcp", "udp"] as const).flatMap((kind) =>
    (["ipv4", "ipv6"] as const).flatMap((family) =>
      [...dumpInternetSockets({ protocol: kind, family, states: [kind === "tcp" ? "listen" : "close"] })].flatMap(
        (socket) => {
          const pid = holders.get(socket.inode);
          if (pid === undefined || (kind === "udp" && isClient(socket))) return [];
          return { kind, address: internetEnd(socket.local), pid };
        },
      ),
    ),
  );
}

function unixListeners(holders: ReadonlyMap<number, number>): OwnListener[] {
  return [...dumpUnixSockets({ states: ["listen", "close"] })].flatMap((socket) => {
    const pid = holders.get(socket.inode);
    const serves = socket.state === "listen" || socket.type === "datagram";
    if (pid === undefined || !serves || socket.name === "" || CHOSEN_NAME.test(socket.name)) return [];
    return { kind: UNIX_KINDS[socket.type], address: socket.name, pid };
  });
}

/** net.ipv4.ip_local_port_range, both included; it holds for IPv6 as well. */
function ephemeralPorts(): [low: number, high: number] {
  const [low, high] = (readProc("/proc/sys/net/ipv4/ip_local_port_range") ?? "").trim().split(/\s+/).map(Number);
  return [low ?? 32_768, high ?? 60_999];
}
