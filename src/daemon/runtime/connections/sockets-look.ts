import {
  dumpInternetSockets,
  dumpUnixSockets,
  type InternetSocketInfo,
  type InternetSocketTable,
  type SocketState,
  type UnixSocketInfo,
  type UnixSocketTable,
} from "../../../ancillary/index.js";
import { type ConnectionLook, internetConnection, internetEnd, unixConnection } from "./connection-look.js";
import { openSocketsOf } from "./open-sockets.js";

/** A socket that workers get connections or datagrams from, in one look. */
export type ListenerLook =
  | {
      readonly kind: "tcp";
      readonly local: string;
      /** Connections that wait for accept(2), and how many may. */
      readonly queued: number;
      readonly backlog: number;
      /** Connections that the kernel turned away since the socket was made (ListenDrops and others). */
      readonly drops: number;
      /**
       * Ids of the handshakes that have begun, and of the connections that wait, at its address. Each is the id that the connection has once it was accepted.
       * Of several sockets with the same address (SO_REUSEPORT) the kernel does not tell which one will get it.
       */
      readonly handshakes: readonly string[];
      readonly waiting: readonly string[];
    }
  | { readonly kind: "unix"; readonly local: string; readonly queued: number; readonly backlog: number }
  | { readonly kind: "udp"; readonly local: string; readonly queuedBytes: number; readonly drops: number };

export interface OpenConnections {
  readonly connections: readonly ConnectionLook[];
  /** Processes whose descriptors may not be read: they may have more. */
  readonly unseen: readonly number[];
}

const NOT_CLOSED: readonly SocketState[] = [
  "established",
  "syn-received",
  "fin-wait-1",
  "fin-wait-2",
  "close-wait",
  "last-ack",
  "closing",
];

/** Without an owner a connection is in one of these only before it was accepted. */
const ACCEPTABLE: readonly SocketState[] = ["established", "close-wait"];

/**
 * Looks once at these listening sockets (their inodes: `OwnedFd.identity().ino`) and at all connections that came through them.
 * No privilege is needed, and nothing of it is asked of a worker. Throws ENOENT or EPROTONOSUPPORT where the kernel has no sock_diag(7).
 */
export function lookAtSockets(listeners: readonly bigint[]): SocketsLook {
  return new SocketsLook(new Set(listeners.map(Number)));
}

/** False where the kernel does not tell (no INET_DIAG, gVisor, a seccomp filter). Asked once. */
export function kernelTellsConnections(): boolean {
  if (tells === undefined) {
    try {
      dumpInternetSockets({ protocol: "tcp", family: "ipv4", states: ["listen"] });
      dumpUnixSockets({ states: ["listen"] });
      tells = true;
    } catch {
      tells = false; // Whatever the reason, it is the same the next time.
    }
  }
  return tells;
}
let tells: boolean | undefined;

export class SocketsLook {
  readonly #tcpListeners: readonly InternetSocketInfo[];
  readonly #unixListeners: readonly UnixSocketInfo[];
  readonly #udp: readonly InternetSocketInfo[];
  readonly #tcp: readonly InternetSocketTable[];
  readonly #unix: UnixSocketTable | undefined;

  /** The listeners first, so that only what came through them is read. */
  constructor(listeners: ReadonlySet<number>) {
    const isOurs = ({ inode }: { readonly inode: number }): boolean => listeners.has(inode);
    this.#tcpListeners = internet("tcp", ["listen"]).flatMap((table) => [...table].filter(isOurs));
    this.#unixListeners =
      this.#tcpListeners.length === listeners.size ? [] : [...dumpUnixSockets({ states: ["listen"] })].filter(isOurs);
    const found = this.#tcpListeners.length + this.#unixListeners.length;
    this.#udp =
      found === listeners.size
        ? []
        : internet("udp", ["close", "established"]).flatMap((table) => [...table].filter(isOurs));
    const ports = [...new Set(this.#tcpListeners.map((listener) => listener.local.port))];
    this.#tcp = ports.length === 0 ? [] : internet("tcp", NOT_CLOSED, ports);
    const names = [...new Set(this.#unixListeners.map((listener) => listener.name))];
    this.#unix = names.length === 0 ? undefined : dumpUnixSockets({ states: ["established", "close"], names });
  }

  /**
   * The connections that these processes have accepted from the listeners of this look; one that several of them have open counts once.
   * Connections that a worker made itself (to a database) are not among them: their local port, or their name, is no listener's.
   *
   * Call it right after the look: the descriptors are read now, so what was accepted before the look is found even if it was passed to another
   * process of the list meanwhile. What was not yet accepted at the look is in `listener(…).waiting` and `handshakes`.
   */
  connectionsOf(pids: readonly number[]): OpenConnections {
    const { byPid, unseen } = openSocketsOf(pids);
    const open = new Set([...byPid.values()].flatMap((inodes) => [...inodes]));
    const connections: ConnectionLook[] = [];
    for (const table of this.#tcp) {
      for (let row = 0; row < table.length; row++)
        if (open.has(table.inodeAt(row))) connections.push(internetConnection(table.at(row)));
    }
    const unix = this.#unix;
    for (let row = 0; unix !== undefined && row < unix.length; row++)
      if (open.has(unix.inodeAt(row))) connections.push(unixConnection(unix.at(row)));
    return { connections, unseen };
  }

  /** undefined: it was not among those of the look, or it is closed, or it is of a kind that nothing is told of (fifo, unix datagrams). */
  listener(inode: bigint): ListenerLook | undefined {
    const is = (socket: { readonly inode: number }): boolean => BigInt(socket.inode) === inode;
    const tcp = this.#tcpListeners.find(is);
    if (tcp !== undefined) return this.#tcpListener(tcp);
    const unix = this.#unixListeners.find(is);
    if (unix !== undefined)
      return { kind: "unix", local: unix.name, queued: unix.receiveQueue, backlog: unix.sendQueue };
    const udp = this.#udp.find(is);
    if (udp === undefined) return undefined;
    return { kind: "udp", local: internetEnd(udp.local), queuedBytes: udp.receiveQueue, drops: udp.drops };
  }

  #tcpListener(listener: InternetSocketInfo): ListenerLook {
    const handshakes: string[] = [];
    const waiting: string[] = [];
    for (const table of this.#tcp) {
      for (let row = 0; row < table.length; row++) {
        if (table.inodeAt(row) !== 0) continue;
        const socket = table.at(row);
        if (!takes(listener, socket)) continue;
        if (socket.state === "syn-received") handshakes.push(`tcp:${socket.cookie}`);
        else if (ACCEPTABLE.includes(socket.state)) waiting.push(`tcp:${socket.cookie}`);
      }
    }
    return {
      kind: "tcp",
      local: internetEnd(listener.local),
      queued: listener.receiveQueue,
      backlog: listener.sendQueue,
      drops: listener.drops,
      handshakes,
      waiting,
    };
  }
}

/** Whether a connection with this local end comes through the listener: the same port, and its address or a wildcard. */
function takes(listener: InternetSocketInfo, connection: InternetSocketInfo): boolean {
  if (listener.local.port !== connection.local.port) return false;
  if (listener.local.host === connection.local.host) return true;
  if (listener.local.host === "::") return true;
  return listener.local.host === "0.0.0.0" && !connection.local.host.includes(":");
}

function internet(
  protocol: "tcp" | "udp",
  states: readonly SocketState[],
  ports?: readonly number[],
): InternetSocketTable[] {
  return (["ipv4", "ipv6"] as const).map((family) =>
    dumpInternetSockets({ protocol, family, states, ...(ports === undefined ? {} : { ports }) }),
  );
}
