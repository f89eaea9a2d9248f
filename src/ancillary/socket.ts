import { AncillaryError, assertInteger } from "./ancillary-error.js";
import { native } from "./native.js";
import { type Fd, numberOf, OwnedFd } from "./owned-fd.js";
import { nativeAddress, type SocketAddress } from "./socket-address.js";
import { socketType } from "./socket-option.js";

/** What a socket speaks. */
export type SocketKind = "tcp" | "udp" | "unix" | "unix-dgram" | "unix-seqpacket";

const families = { unix: 1, ipv4: 2, ipv6: 10 } as const;
const types = {
  tcp: socketType.stream,
  udp: socketType.datagram,
  unix: socketType.stream,
  "unix-dgram": socketType.datagram,
  "unix-seqpacket": socketType.seqpacket,
} as const;
const directions = { read: 0, write: 1, both: 2 } as const;

/** The kernel's answers where a call would have to wait, as the addon returns them. */
export const EAGAIN = -11;
export const EINPROGRESS = -115;

/** socket(2): close-on-exec, blocking. */
export function socket(kind: SocketKind, family: "ipv4" | "ipv6" | "unix"): OwnedFd {
  if (!Object.hasOwn(types, kind) || !Object.hasOwn(families, family)) {
    throw new TypeError(`no such socket: ${String(kind)}, ${String(family)}`);
  }
  if ((family === "unix") !== kind.startsWith("unix"))
    throw new TypeError(`a ${kind} socket is not of family ${family}`);
  return OwnedFd.adopt(native.socket(families[family], types[kind]));
}

/** socketpair(2) of family unix: close-on-exec, blocking. */
export function socketPair(kind: "unix" | "unix-dgram" | "unix-seqpacket"): [OwnedFd, OwnedFd] {
  if (!Object.hasOwn(types, kind) || !kind.startsWith("unix")) throw new TypeError(`no pairs of ${String(kind)}`);
  const [first, second] = native.socketPair(types[kind]);
  return [OwnedFd.adopt(first), OwnedFd.adopt(second)];
}

/** bind(2). Throws EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOENT and others, with `syscall: "bind"`. */
export function bind(fd: Fd, address: SocketAddress): void {
  native.bind(numberOf(fd), ...nativeAddress(address));
}

/** listen(2). The kernel cuts `backlog` to net.core.somaxconn without a word. */
export function listen(fd: Fd, backlog: number): void {
  assertInteger("backlog", backlog, 0, 0x7fffffff);
  native.listen(numberOf(fd), backlog);
}

/**
 * accept4(2): the connection is close-on-exec and blocks. "would-block" if none waits. It asks poll(2) first, so that it does not wait
 * on a blocking socket either; only if another process takes the connection in between does it wait for the next one.
 */
export function accept(fd: Fd): OwnedFd | "would-block" {
  const connection = native.accept(numberOf(fd));
  return connection === EAGAIN ? "would-block" : OwnedFd.adopt(connection);
}

/** connect(2). A blocking socket waits. "in-progress": SO_ERROR tells the outcome once the socket is writable. */
export function connect(fd: Fd, address: SocketAddress): undefined | "in-progress" {
  return native.connect(numberOf(fd), ...nativeAddress(address)) === EINPROGRESS ? "in-progress" : undefined;
}

/** getsockname(2). Throws EAFNOSUPPORT for families other than IPv4, IPv6 and unix. */
export function localAddress(fd: Fd): SocketAddress {
  return native.localAddress(numberOf(fd));
}

/** getpeername(2). Throws ENOTCONN. */
export function remoteAddress(fd: Fd): SocketAddress {
  return native.remoteAddress(numberOf(fd));
}

/** O_NONBLOCK is a flag of the open file description: every process that shares the socket sees the change. */
export function setNonblocking(fd: Fd, on: boolean): void {
  native.setNonblocking(numberOf(fd), on);
}

export function setCloseOnExec(fd: Fd, on: boolean): void {
  native.setCloseOnExec(numberOf(fd), on);
}

/** shutdown(2). Acts on the connection itself, whoever else has a descriptor of it. */
export function shutdown(fd: Fd, how: "read" | "write" | "both"): void {
  if (!Object.hasOwn(directions, how)) throw new TypeError(`no such direction: ${String(how)}`);
  native.shutdown(numberOf(fd), directions[how]);
}

/** poll(2) that does not wait: true if data, a connection, the end or an error waits. */
export function pollReadable(fd: Fd): boolean {
  return native.pollReadable(numberOf(fd));
}

/** Throws ERR_FD_CLOSED if the descriptor is not usable any more; for constructors that keep it. */
export function assertOpen(fd: OwnedFd): void {
  if (!(fd instanceof OwnedFd)) throw new TypeError("an OwnedFd is needed");
  if (fd.closed) throw new AncillaryError("ERR_FD_CLOSED", "the descriptor was closed or released");
}
