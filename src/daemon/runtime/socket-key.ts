import { createHash } from "node:crypto";
import type { Address, SocketConfig } from "../config/config.js";

const PREFIX = "socket/";
/** A key of the keeper's table, docs/protocol.md. */
const MAX_KEY_BYTES = 255;

/**
 * The keeper's keys of a socket's descriptors, in the order of `listen`.
 *
 * A key is made of the address and not of its place in the list, so that an address which stands keeps its descriptor when others come,
 * go or change places. `#2` tells the second of two that are equal, as `tcp://127.0.0.1:0` may be.
 */
export function socketKeys({ name, listen }: SocketConfig): readonly string[] {
  const times = new Map<string, number>();
  return listen.map((address) => {
    const text = canonicalAddress(address);
    const time = (times.get(text) ?? 0) + 1;
    times.set(text, time);
    const key = `${PREFIX}${name}/${time === 1 ? text : `${text}#${time}`}`;
    if (Buffer.byteLength(key) <= MAX_KEY_BYTES) return key;
    return `${PREFIX}${name}/${createHash("sha256").update(key).digest("hex")}`;
  });
}

/** Equal for addresses that are equal, however they were written. */
export function canonicalAddress(address: Address): string {
  if ("path" in address) return `${address.kind}://${address.path}`;
  return `${address.kind}://${address.family === "ipv6" ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Each time that it is bound it is another address. */
export function isAnyPort(address: Address): boolean {
  return "port" in address && address.port === 0;
}
