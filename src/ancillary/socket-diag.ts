import { assertInteger } from "./ancillary-error.js";
import { native } from "./native.js";
import { nativeAddress, type SocketAddress } from "./socket-address.js";

/** A socket's state as the kernel numbers it (net/tcp_states.h), also for UDP ("close", connected: "established") and unix sockets. */
const states = [
  "none",
  "established",
  "syn-sent",
  "syn-received",
  "fin-wait-1",
  "fin-wait-2",
  "time-wait",
  "close",
  "close-wait",
  "last-ack",
  "listen",
  "closing",
  "new-syn-received",
] as const;
export type SocketState = (typeof states)[number];

const protocols = { tcp: 6, udp: 17 } as const;
const unixTypes = { 1: "stream", 2: "datagram", 5: "seqpacket" } as const;

/** One TCP or UDP socket of this network namespace. */
export interface InternetSocketInfo {
  readonly family: "ipv4" | "ipv6";
  readonly state: SocketState;
  /** IPv4 on a socket of both families reads as IPv4. `port` is 0 and `host` a wildcard for the remote end of what is not connected. */
  readonly local: { readonly host: string; readonly port: number };
  readonly remote: { readonly host: string; readonly port: number };
  /** The same as long as the socket lives, and for a connection from its handshake on. */
  readonly cookie: string;
  /** 0: no process has it: a handshake, a connection that waits to be accepted, one that its owner has closed. */
  readonly inode: number;
  readonly uid: number;
  /** Bytes that wait to be read; of a TCP listener: connections that wait to be accepted. */
  readonly receiveQueue: number;
  /** Bytes that the peer has not acknowledged; of a TCP listener: its backlog. */
  readonly sendQueue: number;
  /** Datagrams or handshakes that the kernel threw away because the queue was full, and damaged packets. */
  readonly drops: number;
  /** undefined for UDP and handshakes. */
  readonly traffic?: {
    /** Since the last data in this direction, in steps of a jiffy (1 to 10 ms); as long as none came, since the handshake. */
    readonly lastReceivedMs: number;
    readonly lastSentMs: number;
    /** Since the last acknowledgement of the peer, with data or without; it tells nothing of handshakes. */
    readonly lastAckMs: number;
    /** A FIN counts as one byte. */
    readonly bytesReceived: number;
    /** What was sent again is not counted again. */
    readonly bytesSent: number;
    /** How many segments with data came; one that came again is counted again. */
    readonly segmentsReceived: number;
  };
}

/** One socket of family unix. */
export interface UnixSocketInfo {
  readonly type: "stream" | "datagram" | "seqpacket";
  readonly state: SocketState;
  /** As bound; "@" in front of an abstract name, "" for none. An accepted connection has its listener's. */
  readonly name: string;
  readonly cookie: string;
  /** 0: it waits to be accepted. */
  readonly inode: number;
  /** The inode of the other end; 0 where there is none, or it waits to be accepted. */
  readonly peer: number;
  readonly receiveQueue: number;
  readonly sendQueue: number;
}

/** Sockets as rows of numbers: ten thousand of them are not ten thousand objects. */
class Rows {
  readonly length: number;
  readonly #table: Float64Array;
  readonly #columns: number;

  constructor(table: Float64Array, columns: number) {
    this.#table = table;
    this.#columns = columns;
    this.length = table.length / columns;
  }

  cell(row: number, column: number): number {
    return this.#table[row * this.#columns + column]!;
  }

  state(row: number): SocketState {
    return states[this.cell(row, 1)] ?? "none";
  }

  /** Two halves of 32 bits, the lower first. */
  cookie(row: number, column: number): string {
    return `${this.cell(row, column + 1).toString(16)}.${this.cell(row, column).toString(16)}`;
  }

  words(row: number, column: number): number[] {
    return [0, 1, 2, 3].map((word) => this.cell(row, column + word));
  }
}

/** The sockets that one look at the kernel has found. */
export class InternetSocketTable {
  readonly #rows: Rows;

  /** For the border only. */
  constructor(table: Float64Array) {
    this.#rows = new Rows(table, 26);
  }

  get length(): number {
    return this.#rows.length;
  }

  inodeAt(row: number): number {
    return this.#rows.cell(row, 6);
  }

  at(row: number): InternetSocketInfo {
    const rows = this.#rows;
    const cell = (column: number): number => rows.cell(row, column);
    const family = cell(0) === 6 ? "ipv6" : "ipv4";
    return {
      family,
      state: rows.state(row),
      local: { host: hostOf(family, rows.words(row, 18)), port: cell(2) },
      remote: { host: hostOf(family, rows.words(row, 22)), port: cell(3) },
      cookie: rows.cookie(row, 4),
      inode: cell(6),
      uid: cell(7),
      receiveQueue: cell(8),
      sendQueue: cell(9),
      drops: cell(10),
      ...(cell(11) === 0
        ? {}
        : {
            traffic: {
              lastReceivedMs: cell(12),
              lastSentMs: cell(13),
              lastAckMs: cell(14),
              bytesReceived: cell(15),
              bytesSent: cell(16),
              segmentsReceived: cell(17),
            },
          }),
    };
  }

  *[Symbol.iterator](): Generator<InternetSocketInfo> {
    for (let row = 0; row < this.length; row++) yield this.at(row);
  }
}

/** The same for sockets of family unix. */
export class UnixSocketTable {
  readonly #rows: Rows;
  readonly #names: readonly string[];

  /** For the border only. */
  constructor(found: { readonly table: Float64Array; readonly names: readonly string[] }) {
    this.#rows = new Rows(found.table, 8);
    this.#names = found.names;
  }

  get length(): number {
    return this.#rows.length;
  }

  inodeAt(row: number): number {
    return this.#rows.cell(row, 4);
  }

  at(row: number): UnixSocketInfo {
    const rows = this.#rows;
    return {
      type: unixTypes[rows.cell(row, 0) as keyof typeof unixTypes] ?? "stream",
      state: rows.state(row),
      name: this.#names[row]!,
      cookie: rows.cookie(row, 2),
      inode: rows.cell(row, 4),
      peer: rows.cell(row, 5),
      receiveQueue: rows.cell(row, 6),
      sendQueue: rows.cell(row, 7),
    };
  }

  *[Symbol.iterator](): Generator<UnixSocketInfo> {
    for (let row = 0; row < this.length; row++) yield this.at(row);
  }
}

export interface InternetSocketQuery {
  readonly protocol: "tcp" | "udp";
  /** That of the socket: a connection over IPv4 to a socket of both families is "ipv6", its handshake "ipv4". */
  readonly family: "ipv4" | "ipv6";
  readonly states: readonly SocketState[];
  /** Local ports; all if missing. */
  readonly ports?: readonly number[];
}

/**
 * The sockets of this network namespace, whoever has them; no privilege is needed. sock_diag(7)
 * Throws ENOENT or EPROTONOSUPPORT where the kernel does not tell, EAGAIN if it could not tell the same thing twice.
 */
export function dumpInternetSockets(query: InternetSocketQuery): InternetSocketTable {
  const { protocol, family, ports = [] } = query;
  if (!Object.hasOwn(protocols, protocol)) throw new TypeError(`no such protocol: ${String(protocol)}`);
  for (const port of ports) assertInteger("port", port, 0, 65535);
  const number = family === "ipv6" ? 6 : 4;
  return new InternetSocketTable(native.internetSockets(number, protocols[protocol], bitsOf(query.states), [...ports]));
}

/** The socket whose own end is `local`. Without such a connection the kernel gives the listener that would take one, so look at its `state`. */
export function findInternetSocket(
  protocol: "tcp" | "udp",
  local: SocketAddress,
  remote: SocketAddress,
): InternetSocketInfo | undefined {
  if (local.kind === "unix" || local.kind !== remote.kind) throw new TypeError("two IPv4 or two IPv6 addresses");
  const found = new InternetSocketTable(
    native.findInternetSocket(protocols[protocol], ...nativeAddress(local), ...nativeAddress(remote)),
  );
  return found.length === 0 ? undefined : found.at(0);
}

/** The same for sockets of family unix; with `names` only those that have one of them. */
export function dumpUnixSockets(query: {
  readonly states: readonly SocketState[];
  readonly names?: readonly string[];
}): UnixSocketTable {
  return new UnixSocketTable(native.unixSockets(bitsOf(query.states), [...(query.names ?? [])]));
}

export function findUnixSocket(inode: number): UnixSocketInfo | undefined {
  assertInteger("an inode", inode, 1, 0xffffffff);
  const found = new UnixSocketTable(native.findUnixSocket(inode));
  return found.length === 0 ? undefined : found.at(0);
}

/** The inodes of the sockets that a process has open. Throws ENOENT if it does not exist, EACCES or EPERM if it may not be looked at. */
export function openSocketInodes(pid: number): Float64Array {
  assertInteger("a pid", pid, 1, 0x7fffffff);
  return native.openSocketInodes(pid);
}

function bitsOf(wanted: readonly SocketState[]): number {
  return wanted.reduce((bits, state) => (bits | (1 << states.indexOf(state))) >>> 0, 0);
}

function hostOf(family: "ipv4" | "ipv6", words: readonly number[]): string {
  if (family === "ipv4") return dotted(words[0]!);
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return dotted(words[3]!);
  const groups = words.flatMap((word) => [(word >>> 16).toString(16), (word & 0xffff).toString(16)]);
  // URL writes the one canonical form (RFC 5952).
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function dotted(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}
