import { readFileSync } from "node:fs";
import type { PeerCredentials } from "./peer.js";

export type Verdict = "allowed" | "denied";

/** The two name databases, as text; a seam for tests. */
export interface NameFiles {
  /** The text of /etc/passwd, passwd(5). */
  passwd(): string;
  /** The text of /etc/group, group(5). */
  group(): string;
}

const systemFiles: NameFiles = {
  passwd: () => readFileSync("/etc/passwd", "utf8"),
  group: () => readFileSync("/etc/group", "utf8"),
};

/**
 * Who may use the control interface: root, the supervisor's own user, and the members of `controlGroup`.
 *
 * A member has the group as the gid of its credentials or as its primary group in /etc/passwd, or is listed in /etc/group.
 * `/proc/PID/status` is deliberately not read: the pid may belong to another process by now. Groups that only
 * a directory service knows are therefore not seen. The files are read for each peer that needs them, so a new member is
 * admitted at once; an unreadable file denies.
 */
export function authorizer(o: {
  readonly ownUid: number;
  /** Name, or number as text. */
  readonly controlGroup?: string;
  readonly files?: NameFiles;
}): (peer: PeerCredentials) => Verdict {
  const files = o.files ?? systemFiles;
  return (peer) => {
    if (peer.uid === 0 || peer.uid === o.ownUid) return "allowed";
    if (o.controlGroup === undefined) return "denied";
    try {
      return isMember(peer, o.controlGroup, files) ? "allowed" : "denied";
    } catch {
      // Who cannot be looked up is not let in; the denial is logged by the caller.
      return "denied";
    }
  };
}

function isMember(peer: PeerCredentials, wanted: string, files: NameFiles): boolean {
  const group = records(files.group()).find(([name, , gid]) => name === wanted || gid === wanted);
  const gid = Number(group?.[2] ?? wanted);
  if (peer.gid === gid) return true;
  // One user id may have several names; each name may be listed.
  const users = records(files.passwd()).filter(([, , uid]) => Number(uid) === peer.uid);
  if (users.some(([, , , primary]) => Number(primary) === gid)) return true;
  const members = new Set((group?.[3] ?? "").split(","));
  return users.some(([name]) => name !== undefined && name !== "" && members.has(name));
}

function records(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
