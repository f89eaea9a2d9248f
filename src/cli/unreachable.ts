import { type Stats, statSync } from "node:fs";
import { groupName, userName } from "./account.js";

/** Why no supervisor answers on a control socket, and what to do about it: for each way it fails, its own sentence. */
export function unreachableSentence(code: string, message: string, path: string, tried: readonly string[]): string {
  const others = tried.filter((other) => other !== path);
  const also = others.length === 0 ? "" : ` (tried before it: ${others.join(", ")})`;
  const start = 'start it with "holdfast run -c FILE", or name another control socket with --control PATH or -c FILE';
  switch (code) {
    case "ENOENT":
      return `no supervisor runs here: there is no control socket ${path}${also}; ${start}`;
    case "ECONNREFUSED":
    case "ENOTSOCK":
      if (stat(path)?.isSocket() === false)
        return `${path} is not a socket; name the control socket with --control PATH or -c FILE`;
      return `no supervisor runs here: nobody listens on ${path}${also}, which one that has ended left behind; ${start}`;
    case "ENOTDIR":
      return `${path} cannot be a control socket: a part of its path is not a folder`;
    case "EACCES":
    case "EPERM":
      return `permission denied on the control socket ${path}${whoMay(path)}`;
    case "ETIMEDOUT":
      return `the supervisor at ${path} took the connection but has not answered (${message}); if it hangs, the keeper replaces it, so try again`;
    case "EAGAIN":
      return `the supervisor at ${path} takes no connections and its queue is full: it hangs, or is asked too much; if it hangs, the keeper replaces it, so try again`;
    case "ECONNRESET":
    case "EPIPE":
      return `the supervisor at ${path} closed the connection before it answered, several times; its log says why`;
    case "EPROTO":
      return `what listens on ${path} is no supervisor of Holdfast: ${message}`;
    default:
      return `the supervisor at ${path} cannot be reached: ${message}`;
  }
}

function whoMay(path: string): string {
  const stats = stat(path);
  if (stats === undefined) return ": you may not enter its folder; ask as root or as the user of the supervisor";
  const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
  const group = (stats.mode & 0o060) === 0o060 ? ` and members of the group ${groupName(stats.gid)}` : "";
  return ` (mode ${mode}): root, the user ${userName(stats.uid)}${group} may use it`;
}

function stat(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    // A path that cannot be looked at is described without its particulars.
    return undefined;
  }
}
