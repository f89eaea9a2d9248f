import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ServiceConfig, ServiceDirectories } from "../../config/config.js";
import type { Identity } from "../identity.js";
import { Folder } from "./folder.js";
import { handOn } from "./hand-on.js";

/** Of folders between the system's and those that are asked for. */
const BETWEEN = 0o755;
/** Of a new one until it is the right user's. */
const PRIVATE = 0o700;

/**
 * Makes the folders of a service, and sees to it that they have their owner and their mode, also where they were there before. What lies in one that had
 * another owner goes to the new one, too. Throws an Error with a sentence and its cause.
 *
 * @param tell a sentence about what has changed its owner
 */
export function makeDirectories(service: ServiceConfig, identity: Identity, tell: (words: string) => void): void {
  for (const directories of service.directories ?? []) {
    for (const name of directories.names) {
      try {
        const changed = makeOne(directories, name, identity);
        if (changed > 0)
          tell(
            `${directories.kind}_directory: ${join(directories.base, name)} had another owner: ${changed} things in it have changed it`,
          );
      } catch (error) {
        const path = join(directories.base, name);
        throw new Error(`${directories.kind}_directory: ${path} cannot be used: ${reason(error)}`, { cause: error });
      }
    }
  }
}

/** Returns how many things in it have another owner now. */
function makeOne({ kind, base, mode }: ServiceDirectories, name: string, identity: Identity): number {
  // A user's own base may be missing: basedir-spec says 0700 for it.
  mkdirSync(base, { recursive: true, mode: process.getuid?.() === 0 ? BETWEEN : PRIVATE });
  let folder = Folder.open(base);
  try {
    const parts = name.split("/");
    let changed = 0;
    for (const [index, part] of parts.entries()) {
      const isNew = folder.make(part, PRIVATE);
      folder = folder.into(part);
      if (isNew && index < parts.length - 1) folder.setMode(BETWEEN);
    }
    // The configuration of a service is not the service's to change: systemd.exec(5).
    if (kind !== "configuration") changed = own(folder, identity);
    if ((folder.stats.mode & 0o7777) !== mode) folder.setMode(mode);
    return changed;
  } finally {
    folder[Symbol.dispose]();
  }
}

/** The folder itself is last: until then whoever starts it again finds that there is something to do. */
function own(folder: Folder, identity: Identity): number {
  const { uid, gid } = folder.stats;
  const wanted = { uid: identity.uid ?? process.geteuid?.() ?? uid, gid: identity.gid ?? process.getegid?.() ?? gid };
  if (uid === wanted.uid && gid === wanted.gid) return 0;
  const changed = handOn(folder, { uid, gid }, wanted);
  folder.setOwner(wanted.uid, wanted.gid);
  return changed;
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOTDIR") return "something that is no folder is in its place (a symbolic link is not followed)";
  return message.replace(/ '\/proc\/self\/fd\/.*$/, "");
}

/** Paths as systemd.exec(5) tells them. */
export function directoryEnvironment(service: Pick<ServiceConfig, "directories">): Record<string, string> {
  const entries = (service.directories ?? []).map(({ kind, base, names }) => [
    `${kind.toUpperCase()}_DIRECTORY`,
    names.map((name) => join(base, name)).join(":"),
  ]);
  return Object.fromEntries(entries);
}
