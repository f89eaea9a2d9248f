import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { OwnRights } from "./own-rights.js";

/**
 * Who the supervisor is, and what the account files say. The files are read when first asked for. Accounts that live
 * elsewhere (LDAP, systemd-userdbd) are not seen, so a name that is missing here is a reason for doubt, not for refusal.
 */
export class Accounts {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** What is permitted to the supervisor: bit N is capability N of capabilities(7). */
  readonly capabilities: bigint;
  /** What nobody but root can raise: see `OwnRights`. */
  readonly hardLimits: ReadonlyMap<string, number>;
  readonly mostFiles: number;
  readonly #folder: string;
  #users: Map<string, number> | undefined;
  #groupIds: Map<string, number> | undefined;

  /** `folder` holds `passwd` and `group`. */
  constructor(
    o: Required<OwnRights> & {
      readonly uid: number;
      readonly gid: number;
      readonly groups: readonly number[];
      readonly folder: string;
    },
  ) {
    this.uid = o.uid;
    this.gid = o.gid;
    this.groups = o.groups;
    this.capabilities = o.capabilities;
    this.hardLimits = o.hardLimits;
    this.mostFiles = o.mostFiles;
    this.#folder = o.folder;
  }

  /** A name or a number as text -> uid. */
  userId(user: string): number | undefined {
    if (/^\d+$/.test(user)) return Number(user);
    this.#users ??= this.#read("passwd");
    return this.#users.get(user);
  }

  /** Whether a user who is given as a number has an entry, and with it a group. */
  hasEntry(uid: number): boolean {
    this.#users ??= this.#read("passwd");
    return [...this.#users.values()].includes(uid);
  }

  groupId(group: string): number | undefined {
    if (/^\d+$/.test(group)) return Number(group);
    this.#groupIds ??= this.#read("group");
    return this.#groupIds.get(group);
  }

  /** `"www" (uid 33)`, or the uid alone where no file knows it. */
  get self(): string {
    this.#users ??= this.#read("passwd");
    const name = [...this.#users].find(([, uid]) => uid === this.uid)?.[0];
    return name === undefined ? `uid ${this.uid}` : `"${name}" (uid ${this.uid})`;
  }

  /** Both files are `name:password:id:…` a line: passwd(5), group(5). A file that cannot be read knows nobody. */
  #read(file: "passwd" | "group"): Map<string, number> {
    const ids = new Map<string, number>();
    for (const line of readOrNothing(join(this.#folder, file)).split("\n")) {
      const [name, , id] = line.split(":");
      if (name && id !== undefined && /^\d+$/.test(id) && !ids.has(name)) ids.set(name, Number(id));
    }
    return ids;
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return ""; // A container image without accounts is complete.
    throw error;
  }
}
