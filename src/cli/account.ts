import { readFileSync } from "node:fs";

/** The name of a user id, or the number where /etc/passwd does not know it. */
export function userName(uid: number): string {
  return nameIn("/etc/passwd", uid);
}

/** The name of a group id, or the number where /etc/group does not know it. */
export function groupName(gid: number): string {
  return nameIn("/etc/group", gid);
}

function nameIn(file: string, id: number): string {
  try {
    const line = readFileSync(file, "utf8")
      .split("\n")
      .find((record) => record.split(":")[2] === String(id));
    return line?.split(":")[0] ?? String(id);
  } catch {
    // For messages alone: a number says it too.
    return String(id);
  }
}
