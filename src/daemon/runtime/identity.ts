import { readFileSync, statSync } from "node:fs";

export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
  /** Supplementary groups, the primary one included; undefined: those of the keeper. */
  readonly groups?: number[];
  readonly home?: string;
  readonly name?: string;
  readonly shell?: string;
}

/** `unknown-user`, `unknown-group`: there is no such name, or no group can be derived; `value` is what was asked for. */
export class IdentityError extends Error {
  readonly code: "unknown-user" | "unknown-group";
  readonly value: string;

  constructor(code: IdentityError["code"], value: string, message: string) {
    super(message);
    this.name = "IdentityError";
    this.code = code;
    this.value = value;
  }
}

export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

const SYSTEM_FILES: AccountFiles = { passwd: "/etc/passwd", group: "/etc/group" };
/** The kernel takes 4294967295 for "do not change". */
const MAX_ID = 0xfffffffe;

interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * Names or numbers (as text) to ids, from the two files alone: users of LDAP and the like are given as numbers together with their group.
 *
 * Without `groups` a user has those that the group file lists for the name. A number without an entry needs `group`,
 * because running on with the supervisor's own group would give away more than was asked for.
 */
export function resolveIdentity(
  wanted: { readonly user?: string; readonly group?: string; readonly groups?: readonly string[] },
  files: AccountFiles = SYSTEM_FILES,
): Identity {
  const user = wanted.user === undefined ? undefined : findUser(wanted.user, files);
  const gid = wanted.group === undefined ? user?.gid : findGroup(wanted.group, files);
  if (user !== undefined && gid === undefined) {
    const message = `user ${wanted.user} is not in ${files.passwd}, so its group is not known; set group as well`;
    throw new IdentityError("unknown-group", wanted.user ?? "", message);
  }
  const groups = supplementaryGroups(wanted.groups, user, gid, files);
  return {
    ...(user === undefined ? {} : { uid: user.uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(groups === undefined ? {} : { groups }),
    ...(user?.home === undefined ? {} : { home: user.home }),
    ...(user?.name === undefined ? {} : { name: user.name }),
    ...(user?.shell === undefined ? {} : { shell: user.shell }),
  };
}

/** The name for messages; the number as text when there is none. */
export function userName(uid: number, files: AccountFiles = SYSTEM_FILES): string {
  return users.read(files.passwd).find((user) => user.uid === uid)?.name ?? String(uid);
}

function findUser(text: string, files: AccountFiles): Partial<User> & { readonly uid: number } {
  const all = users.read(files.passwd);
  const known = all.find((user) => user.name === text) ?? all.find((user) => String(user.uid) === text);
  if (known !== undefined) return known;
  const uid = idOf(text);
  if (uid !== undefined) return { uid };
  throw new IdentityError(
    "unknown-user",
    text,
    `there is no user ${text} in ${files.passwd}; create it or give a number`,
  );
}

function findGroup(text: string, files: AccountFiles): number {
  const gid = groups.read(files.group).find((group) => group.name === text)?.gid ?? idOf(text);
  if (gid !== undefined) return gid;
  throw new IdentityError(
    "unknown-group",
    text,
    `there is no group ${text} in ${files.group}; create it or give a number`,
  );
}

function supplementaryGroups(
  wanted: readonly string[] | undefined,
  user: Partial<User> | undefined,
  gid: number | undefined,
  files: AccountFiles,
): number[] | undefined {
  if (wanted === undefined && user === undefined) return undefined;
  const ids = new Set(gid === undefined ? [] : [gid]);
  if (wanted !== undefined) for (const name of wanted) ids.add(findGroup(name, files));
  else if (user?.name !== undefined) {
    for (const group of groups.read(files.group)) if (group.members.includes(user.name)) ids.add(group.gid);
  }
  return [...ids];
}

function idOf(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

/** A file of colon-separated records, read again when its modification time, size or inode changed. */
class RecordFile<T> {
  readonly #parse: (fields: string[]) => T | undefined;
  readonly #cache = new Map<string, { readonly version: string; readonly records: readonly T[] }>();

  constructor(parse: (fields: string[]) => T | undefined) {
    this.#parse = parse;
  }

  /** A file that does not exist (an image without accounts) has no records. */
  read(path: string): readonly T[] {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return [];
    const version = `${stat.ino}:${stat.size}:${stat.mtimeNs}`;
    const cached = this.#cache.get(path);
    if (cached?.version === version) return cached.records;
    const records = readFileSync(path, "utf8")
      .split("\n")
      .map((line) => this.#parse(line.split(":")))
      .filter((record) => record !== undefined);
    this.#cache.set(path, { version, records });
    return records;
  }
}

const users = new RecordFile<User>(([name, , uid, gid, , home = "", shell = ""]) => {
  const ids = [idOf(uid ?? ""), idOf(gid ?? "")] as const;
  if (!name || ids[0] === undefined || ids[1] === undefined) return undefined;
  return { name, uid: ids[0], gid: ids[1], home: home || "/", shell: shell || "/bin/sh" };
});

const groups = new RecordFile<Group>(([name, , gid, members = ""]) => {
  const id = idOf(gid ?? "");
  return name && id !== undefined ? { name, gid: id, members: members.split(",").filter(Boolean) } : undefined;
});
