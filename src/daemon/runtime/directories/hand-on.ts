import type { Stats } from "node:fs";
import type { Entry, Folder } from "./folder.js";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A start waits for it, and the supervisor does nothing else meanwhile: a tenth of a second. */
const MOST_ENTRIES = 10_000;
const DEEPEST = 64;

/**
 * Gives what lies in a folder to its new owner, as far as it was the folder's former owner's (its user, or its group, each for itself). Returns how many changed.
 *
 * Whoever could write there until now may want us to give away something else, so:
 *
 *   - each entry is opened first (O_PATH, O_NOFOLLOW), and what is looked at is what is changed; no link is followed
 *   - what belongs to anybody else stays: a link to a foreign file that was put there is not given away
 *   - so does a file with several names, one of which may be anywhere
 *   - and what lies on another mount, also of the same file system
 *
 * Throws an Error before it has gone through too many; the folder itself is the caller's, last of all: until then it is begun anew.
 */
export function handOn(folder: Folder, from: Owner, to: Owner): number {
  const walk: Walk = { from, to, seen: 0, changed: 0, mount: folder.mount };
  walkThrough(folder, walk, 0);
  return walk.changed;
}

interface Walk {
  readonly from: Owner;
  readonly to: Owner;
  readonly mount: string;
  seen: number;
  changed: number;
}

function walkThrough(folder: Folder, walk: Walk, depth: number): void {
  if (depth >= DEEPEST) throw new Error(`it has more than ${DEEPEST} folders in one another; ${hint(walk)}`);
  for (const name of folder.namesNow()) {
    walk.seen++;
    if (walk.seen > MOST_ENTRIES) throw new Error(`more than ${MOST_ENTRIES} things lie in it; ${hint(walk)}`);
    using entry = folder.look(name);
    if (entry === undefined || entry.mount !== walk.mount) continue;
    give(entry, walk);
    if (!entry.stats.isDirectory()) continue;
    using inner = entry.enter();
    walkThrough(inner, walk, depth + 1);
  }
}

function give(entry: Entry, walk: Walk): void {
  const { stats } = entry;
  if (!stats.isDirectory() && stats.nlink > 1) return;
  const { uid, gid } = next(stats, walk);
  if (uid === stats.uid && gid === stats.gid) return;
  entry.setOwner(uid, gid);
  walk.changed++;
}

function next({ uid, gid }: Stats, { from, to }: Walk): Owner {
  return { uid: uid === from.uid ? to.uid : uid, gid: gid === from.gid ? to.gid : gid };
}

function hint({ to }: Walk): string {
  return `it has had another owner: \`chown -R ${to.uid}:${to.gid}\` it yourself`;
}
