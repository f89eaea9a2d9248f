import { assertInteger } from "./ancillary-error.js";
import { native } from "./native.js";
import { type Fd, numberOf } from "./owned-fd.js";

// asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h: the same numbers on x64 and arm64.
const SOL_SOCKET = 1;
const IPPROTO_IP = 0;
const IPPROTO_TCP = 6;
const IPPROTO_IPV6 = 41;

const options = {
  SO_REUSEADDR: [SOL_SOCKET, 2],
  SO_TYPE: [SOL_SOCKET, 3],
  SO_ERROR: [SOL_SOCKET, 4],
  SO_BROADCAST: [SOL_SOCKET, 6],
  SO_SNDBUF: [SOL_SOCKET, 7],
  SO_RCVBUF: [SOL_SOCKET, 8],
  SO_KEEPALIVE: [SOL_SOCKET, 9],
  SO_PRIORITY: [SOL_SOCKET, 12],
  SO_REUSEPORT: [SOL_SOCKET, 15],
  SO_PASSCRED: [SOL_SOCKET, 16],
  SO_BINDTODEVICE: [SOL_SOCKET, 25],
  SO_ACCEPTCONN: [SOL_SOCKET, 30],
  SO_SNDBUFFORCE: [SOL_SOCKET, 32],
  SO_RCVBUFFORCE: [SOL_SOCKET, 33],
  /** The sender's security label comes as SCM_SECURITY, where a security module gives one. */
  SO_PASSSEC: [SOL_SOCKET, 34],
  SO_MARK: [SOL_SOCKET, 36],
  SO_PROTOCOL: [SOL_SOCKET, 38],
  SO_DOMAIN: [SOL_SOCKET, 39],
  /** Linux 6.5; older kernels answer ENOPROTOOPT. */
  SO_PASSPIDFD: [SOL_SOCKET, 76],
  /** Linux 6.16; on unless it is switched off: a socket without it refuses descriptors, and the sender gets EPERM. */
  SO_PASSRIGHTS: [SOL_SOCKET, 83],
  /** Linux 7.3: descriptors that cannot be installed become an errno in their slot, instead of an end to the list. */
  SO_RIGHTS_NOTRUNC: [SOL_SOCKET, 85],
  IP_TOS: [IPPROTO_IP, 1],
  IP_TTL: [IPPROTO_IP, 2],
  IP_FREEBIND: [IPPROTO_IP, 15],
  IP_TRANSPARENT: [IPPROTO_IP, 19],
  IPV6_UNICAST_HOPS: [IPPROTO_IPV6, 16],
  IPV6_V6ONLY: [IPPROTO_IPV6, 26],
  IPV6_TCLASS: [IPPROTO_IPV6, 67],
  IPV6_TRANSPARENT: [IPPROTO_IPV6, 75],
  IPV6_FREEBIND: [IPPROTO_IPV6, 78],
  TCP_NODELAY: [IPPROTO_TCP, 1],
  TCP_DEFER_ACCEPT: [IPPROTO_TCP, 9],
  TCP_FASTOPEN: [IPPROTO_TCP, 23],
} as const satisfies Record<string, readonly [level: number, name: number]>;

/** The options that can be set or asked, named as in socket(7), ip(7), ipv6(7) and tcp(7). */
export type SocketOptionName = keyof typeof options;

/** SO_TYPE's answers. */
export const socketType = { stream: 1, datagram: 2, seqpacket: 5 } as const;

function find(option: SocketOptionName): readonly [level: number, name: number] {
  const found = Object.hasOwn(options, option) ? options[option] : undefined;
  if (found === undefined) throw new TypeError(`not a socket option: ${String(option)}`);
  return found;
}

/**
 * setsockopt(2). A boolean is 1 or 0; a string is for SO_BINDTODEVICE alone. Units are those of the man pages (bytes for
 * buffers, which the kernel doubles; seconds for TCP_DEFER_ACCEPT). Throws EPERM, EINVAL, ENOPROTOOPT.
 */
export function setSocketOption(fd: Fd, option: SocketOptionName, value: number | boolean | string): void {
  const [level, name] = find(option);
  if (option === "SO_BINDTODEVICE") {
    if (typeof value !== "string") throw new TypeError("SO_BINDTODEVICE takes the name of an interface");
    native.setTextOption(numberOf(fd), level, name, value);
    return;
  }
  if (typeof value === "string") throw new TypeError(`${option} takes a number or a boolean`);
  const number = Number(value);
  // SO_MARK is unsigned in the kernel; the same 32 bits are passed.
  assertInteger(option, number, -0x80000000, 0xffffffff);
  native.setOption(numberOf(fd), level, name, number | 0);
}

/**
 * SO_ATTACH_REUSEPORT_CBPF (socket(7)): from now on this classic BPF program chooses which socket of the group gets a connection or a datagram, by
 * its place in the group; the one before is replaced in the same moment. A place that does not exist means: by the kernel's own hash.
 *
 * @param program whole instructions of 8 bytes, `struct sock_filter` of linux/filter.h, at most 4096
 * @throws EINVAL for what is no program, or a socket without SO_REUSEPORT
 */
export function attachReuseportFilter(fd: Fd, program: Uint8Array): void {
  native.attachReuseportFilter(numberOf(fd), program);
}

/** getsockopt(2) for the options whose value is an integer. SO_MARK comes back unsigned. */
export function getSocketOption(fd: Fd, option: SocketOptionName): number {
  if (option === "SO_BINDTODEVICE") throw new TypeError("SO_BINDTODEVICE has no number");
  const [level, name] = find(option);
  const value = native.getOption(numberOf(fd), level, name);
  return option === "SO_MARK" ? value >>> 0 : value;
}
