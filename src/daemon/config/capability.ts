import { didYouMean } from "./nearest.js";
import { type Parsed, quote, right, wrong } from "./problem.js";

/** capabilities(7), without CAP_ and in lower case. A capability's place is its number, which is the same on every architecture. */
export const CAPABILITY_NAMES = [
  "chown",
  "dac_override",
  "dac_read_search",
  "fowner",
  "fsetid",
  "kill",
  "setgid",
  "setuid",
  "setpcap",
  "linux_immutable",
  "net_bind_service",
  "net_broadcast",
  "net_admin",
  "net_raw",
  "ipc_lock",
  "ipc_owner",
  "sys_module",
  "sys_rawio",
  "sys_chroot",
  "sys_ptrace",
  "sys_pacct",
  "sys_admin",
  "sys_boot",
  "sys_nice",
  "sys_resource",
  "sys_time",
  "sys_tty_config",
  "mknod",
  "lease",
  "audit_write",
  "audit_control",
  "setfcap",
  "mac_override",
  "mac_admin",
  "syslog",
  "wake_alarm",
  "block_suspend",
  "audit_read",
  "perfmon",
  "bpf",
  "checkpoint_restore",
] as const;

export type Capability = (typeof CAPABILITY_NAMES)[number];

export function parseCapability(value: unknown): Parsed<Capability> {
  const known = CAPABILITY_NAMES.find((name) => name === value);
  if (known !== undefined) return right(known);
  const plain = String(value).toLowerCase().replace(/^cap_/, "");
  const meant = CAPABILITY_NAMES.find((name) => name === plain);
  const hint = meant === undefined ? didYouMean(plain, CAPABILITY_NAMES) : `did you mean "${meant}"?`;
  return wrong(`there is no capability ${quote(String(value))}`, { hint });
}

/** Whether it is in the set, in which bit N is capability N. */
export function hasCapability(set: bigint, name: Capability): boolean {
  return (set & (1n << BigInt(CAPABILITY_NAMES.indexOf(name)))) !== 0n;
}

/** CapPrm in the text of /proc/PID/status. */
export function permittedCapabilities(status: string): bigint | undefined {
  const found = /^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return found === undefined ? undefined : BigInt(`0x${found}`);
}
