import { readFileSync } from "node:fs";
import type { Address } from "../config/config.js";
import { findOwner, ownerInWords, type PortOwner } from "./port-owner.js";

export type SocketOpenCode =
  | "address-in-use"
  | "address-not-available"
  | "address-unsupported"
  | "permission-denied"
  | "path-occupied"
  | "path-unusable"
  | "option-refused"
  | "resource-limit"
  | "socket-failed";

/** A configured address cannot be opened. The message is a sentence for the operator: which address, why, who holds it, what to do. */
export class SocketOpenError extends Error {
  readonly code: SocketOpenCode;
  /** As written in the configuration. */
  readonly address: string;
  /** Only with `address-in-use`, and where it can be seen. */
  readonly owner?: PortOwner;

  constructor(
    code: SocketOpenCode,
    address: string,
    reason: string,
    more: { readonly cause?: unknown; readonly owner?: PortOwner | undefined } = {},
  ) {
    super(`cannot open ${address}: ${reason}`, { cause: more.cause });
    this.name = "SocketOpenError";
    this.code = code;
    this.address = address;
    if (more.owner !== undefined) this.owner = more.owner;
  }
}

interface SystemError extends Error {
  readonly code?: string;
  readonly syscall?: string;
}

/** Words for what a system call said while `address` was being opened. Other errors come back as they are. */
export function explain(error: unknown, address: Address, text: string): unknown {
  const { code, syscall, message } = error as SystemError;
  if (error instanceof SocketOpenError || code === undefined) return error;
  const make = (kind: SocketOpenCode, reason: string): SocketOpenError =>
    new SocketOpenError(kind, text, reason, { cause: error });
  if (syscall === "setsockopt")
    return make("option-refused", `the kernel refuses one of its options: ${message}; ${optionHint(code)}`);
  switch (code) {
    case "EADDRINUSE":
      return inUse(address, text, error);
    case "EADDRNOTAVAIL":
      return make(
        "address-not-available",
        "no network interface of this machine has that address; correct it, or set free_bind = true to bind it before it exists",
      );
    case "EAFNOSUPPORT":
    case "EPROTONOSUPPORT":
      return make("address-unsupported", "this kernel does not offer that kind of address (is IPv6 switched off?)");
    case "EACCES":
    case "EPERM":
      return make("permission-denied", permissionReason(address, message));
    case "EEXIST": // mkdir(2): something on the way is not a folder.
    case "ENOENT":
    case "ENOTDIR":
    case "EROFS":
    case "ENAMETOOLONG":
    case "ELOOP":
    case "ENOSPC":
      return make("path-unusable", `${message}; correct the path, or the folder that it is in`);
    case "EMFILE":
    case "ENFILE":
    case "ENOBUFS":
    case "ENOMEM":
      return make("resource-limit", `${message}; the supervisor or the machine is at a limit, it is tried again`);
    default:
      return make("socket-failed", message);
  }
}

/** The address is taken; says by whom and what to do. */
export function inUse(address: Address, text: string, cause?: unknown): SocketOpenError {
  const owner = findOwner(address);
  const reason = `the address is in use by ${ownerInWords(owner)}; stop that process or choose another address`;
  return new SocketOpenError("address-in-use", text, reason, { cause, owner });
}

function permissionReason(address: Address, message: string): string {
  if (address.kind !== "tcp" && address.kind !== "udp")
    return `${message}; the supervisor's user must be allowed to do that in the folder of the path`;
  const lowest = lowestFreePort();
  if (address.port >= lowest) return message;
  return `ports below ${lowest} need root or CAP_NET_BIND_SERVICE; give the supervisor that, choose a higher port, or lower net.ipv4.ip_unprivileged_port_start`;
}

function lowestFreePort(): number {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "latin1"));
  } catch {
    return 1024; // The kernel's default, where /proc/sys is hidden.
  }
}

function optionHint(code: string): string {
  return code === "EPERM" || code === "EACCES" ? "it needs root or CAP_NET_ADMIN" : "correct or remove it";
}
