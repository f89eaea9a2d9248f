import { readFileSync } from "node:fs";

/**
 * Rust: `SocketCred`, whose getters and setters are plain fields here. Credentials of a process, as SCM_CREDENTIALS carries them (`ucred`). A sender without privilege can name only its own pid and
 * its real, effective or saved ids; the kernel checks it when the message is sent.
 */
export interface SocketCred {
  pid: number;
  uid: number;
  gid: number;
}

/** Rust: `SocketCred::new()`, which is all zeroes and cannot be sent. This gives the credentials of this process: what the kernel would attach by itself, which are the real ids (SO_PEERCRED shows effective ones). */
export function ownCredentials(): SocketCred {
  return { pid: process.pid, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

/** What the kernel shows for an id that it does not know or that has no name in this user namespace. */
function overflowId(name: "overflowuid" | "overflowgid"): number {
  try {
    return Number(readFileSync(`/proc/sys/kernel/${name}`, "utf8"));
  } catch {
    // Without /proc: the value that the kernel is built with.
    return 65534;
  }
}

let overflowIds: { uid: number; gid: number } | undefined;

/** False for what the kernel fills in when it does not know, because SO_PASSCRED was set after the message was sent: no pid, and the overflow ids. */
export function isKnown(cred: SocketCred): boolean {
  if (cred.pid !== 0) return true;
  overflowIds ??= { uid: overflowId("overflowuid"), gid: overflowId("overflowgid") };
  return cred.uid !== overflowIds.uid || cred.gid !== overflowIds.gid;
}
