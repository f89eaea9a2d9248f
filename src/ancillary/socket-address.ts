import { isIPv4, isIPv6 } from "node:net";
import { assertInteger } from "./ancillary-error.js";
import type { NativeFamily } from "./native.js";

/**
 * Where a socket is. `host` is an address literal, never a name; an IPv6 one may end with "%" and an interface.
 * `path` is a path of at most 107 bytes, "@" and an abstract name of at most 107 bytes, or "" for a unix socket without a name
 * (binding to it lets the kernel choose an abstract name). A file whose name begins with "@" is written "./@name".
 */
export type SocketAddress = { kind: "ipv4" | "ipv6"; host: string; port: number } | { kind: "unix"; path: string };

/** sizeof(sockaddr_un.sun_path) - 1: one byte is for the NUL. */
export const longestUnixName = 107;

/** The address as the addon takes it. Throws TypeError or RangeError if it is none. */
export function nativeAddress(address: SocketAddress): [family: NativeFamily, name: string, port: number] {
  switch (address.kind) {
    case "unix": {
      if (typeof address.path !== "string") throw new TypeError("path must be a string");
      const isAbstract = address.path.startsWith("@");
      if (!isAbstract && address.path.includes("\0")) throw new RangeError("a path cannot contain a NUL");
      const bytes = Buffer.byteLength(address.path) - (isAbstract ? 1 : 0);
      if (bytes > longestUnixName) {
        throw new RangeError(`the name of a unix socket has at most ${longestUnixName} bytes, this one has ${bytes}`);
      }
      return [0, address.path, 0];
    }
    case "ipv4":
    case "ipv6": {
      const isLiteral = address.kind === "ipv4" ? isIPv4(address.host) : isIPv6(address.host);
      if (!isLiteral) throw new RangeError(`not an ${address.kind} address: ${address.host}`);
      assertInteger("port", address.port, 0, 65535);
      return [address.kind === "ipv4" ? 4 : 6, address.host, address.port];
    }
    default:
      throw new TypeError("address.kind must be ipv4, ipv6 or unix");
  }
}
