/**
 * Credentials of a process, as SCM_CREDENTIALS carries them (`ucred`). A sender without privilege can name only its own pid and
 * its real, effective or saved ids; the kernel checks it when the message is sent.
 */
export interface SocketCred {
  pid: number;
  uid: number;
  gid: number;
}

/** The credentials of this process: what the kernel would attach by itself. (Rust's SocketCred::new() is all zeroes, which cannot be sent.) */
export function ownCredentials(): SocketCred {
  return { pid: process.pid, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}

/** The kernel's overflow id: what a message shows that was sent before SO_PASSCRED was set. */
const overflowId = 65534;

/** False for what the kernel fills in when it does not know: no pid, and the overflow ids. */
export function isKnown(cred: SocketCred): boolean {
  return !(cred.pid === 0 && cred.uid === overflowId && cred.gid === overflowId);
}
