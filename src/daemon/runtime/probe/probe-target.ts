import type { SocketAddress } from "../../../ancillary/index.js";
import type { Asked } from "../../config/config.js";

/** What one probe asks. */
export interface ProbeTarget {
  /** An address that a connection can be made to: no wildcard, no port 0. */
  readonly address: SocketAddress;
  /** Where the connection comes from, for a socket that is steered by its source. Of the family of `address`; not for unix sockets. */
  readonly localAddress?: string;
  /** undefined: a connection that is accepted is enough. */
  readonly http?: {
    readonly path: string;
    /** The Host header. */
    readonly host: string;
    /** Good answers; empty: 200 to 399. */
    readonly status: readonly number[];
  };
}

/**
 * @param own the addresses of the listening tcp and unix stream sockets that the worker was given, as they are bound (getsockname), in order
 * @param localAddress an IPv4 source address: an own socket of both families is asked over IPv4 then
 * @returns undefined: the policy asks the worker's own socket, and it has none
 */
export function probeTarget(
  policy: Omit<Asked, "exec">,
  own: readonly SocketAddress[],
  localAddress?: string,
): ProbeTarget | undefined {
  const { address: named, http } = policy;
  const address = named === undefined ? reachable(own[0], localAddress) : fromConfig(named);
  if (address === undefined) return undefined;
  const bindsTo = address.kind === "ipv4" && named === undefined ? localAddress : undefined;
  return {
    address,
    ...(bindsTo === undefined ? {} : { localAddress: bindsTo }),
    ...(http === undefined
      ? {}
      : { http: { path: http.path, host: http.host ?? hostOf(address), status: http.status } }),
  };
}

function fromConfig(address: NonNullable<Asked["address"]>): SocketAddress {
  if (address.kind === "unix") return { kind: "unix", path: address.path };
  return { kind: address.family, host: address.host, port: address.port };
}

/** A socket that is bound to every address is asked on this machine's own. */
function reachable(address: SocketAddress | undefined, localAddress: string | undefined): SocketAddress | undefined {
  if (address === undefined || address.kind === "unix") return address;
  if (address.host === "0.0.0.0") return { ...address, host: "127.0.0.1" };
  if (address.host !== "::") return address;
  return localAddress === undefined
    ? { ...address, host: "::1" }
    : { kind: "ipv4", host: "127.0.0.1", port: address.port };
}

function hostOf(address: SocketAddress): string {
  return address.kind === "unix" ? "localhost" : addressInWords(address);
}

/** `127.0.0.1:80`, `[::1]:80`, `/run/web.sock`, `@name`. */
export function addressInWords(address: SocketAddress): string {
  if (address.kind === "unix") return address.path;
  return address.kind === "ipv6" ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
