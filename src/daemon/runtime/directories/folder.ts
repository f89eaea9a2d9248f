import {
  chownSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  type Stats,
} from "node:fs";
import { readdir, rmdir, unlink } from "node:fs/promises";
import { OwnedFd } from "../../../ancillary/index.js";

const FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** open(2); Node has no name for it, and it is the same on x64 and arm64. */
const O_PATH = 0o10000000;
/** Each level of a tree that is removed has a descriptor open. */
const DEEPEST = 64;

/**
 * A folder that is open. What is done in it by a name is done in this very one, wherever its path leads by then: /proc/self/fd stands for openat(2),
 * which Node does not have. No symbolic link is followed from here on.
 */
export class Folder implements Disposable {
  readonly #fd: OwnedFd;

  /** Owns it from here on. */
  constructor(fd: OwnedFd) {
    this.#fd = fd;
  }

  /** One of the system's own: links on the way to it are followed. */
  static open(path: string): Folder {
    return new Folder(OwnedFd.adopt(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)));
  }

  /** ENOTDIR: it is something else, which may be a link to a folder. */
  enter(name: string): Folder {
    return new Folder(OwnedFd.adopt(openSync(this.#at(name), FLAGS)));
  }

  /** Goes on to one that lies in this one, which is closed, also where that fails. */
  into(name: string): Folder {
    try {
      return this.enter(name);
    } finally {
      this.#fd.close();
    }
  }

  /** False if there is something of that name. */
  make(name: string, mode: number): boolean {
    try {
      mkdirSync(this.#at(name), mode);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  }

  rename(name: string, to: string): void {
    renameSync(this.#at(name), this.#at(to));
  }

  names(): Promise<string[]> {
    return readdir(this.#at("."));
  }

  namesNow(): string[] {
    return readdirSync(this.#at("."));
  }

  /** What has that name, whatever it is, without following or opening it; undefined if it is not there any more. */
  look(name: string): Entry | undefined {
    try {
      return new Entry(OwnedFd.adopt(openSync(this.#at(name), O_PATH | constants.O_NOFOLLOW)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Two with the same one lie on the same mount. */
  get mount(): string {
    return mountOf(this.#fd);
  }

  get stats(): Stats {
    return fstatSync(this.#fd.borrow().number);
  }

  setOwner(uid: number, gid: number): void {
    fchownSync(this.#fd.borrow().number, uid, gid);
  }

  setMode(mode: number): void {
    fchmodSync(this.#fd.borrow().number, mode);
  }

  /** What has that name, with all that is in it. Stops at another file system. */
  async remove(name: string, depth = 0): Promise<void> {
    try {
      return await unlink(this.#at(name));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "EISDIR" && code !== "EPERM") throw error;
    }
    using inner = this.enter(name);
    if (inner.stats.dev !== this.stats.dev) throw new Error(`${name} is another file system`);
    if (depth >= DEEPEST) throw new Error(`${name} has more than ${DEEPEST} folders in one another`);
    for (const below of await inner.names()) await inner.remove(below, depth + 1);
    await rmdir(this.#at(name));
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }

  #at(name: string): string {
    return `/proc/self/fd/${this.#fd.borrow().number}/${name}`;
  }
}

/** Something in a folder: a handle to it and to nothing else, whatever has its name by now. */
export class Entry implements Disposable {
  readonly #fd: OwnedFd;
  readonly stats: Stats;

  constructor(fd: OwnedFd) {
    this.#fd = fd;
    this.stats = fstatSync(fd.borrow().number);
  }

  get mount(): string {
    return mountOf(this.#fd);
  }

  /** Of a folder. */
  enter(): Folder {
    return new Folder(OwnedFd.adopt(openSync(`${this.#path}/.`, FLAGS)));
  }

  /** fchownat(2) with AT_EMPTY_PATH: the link below /proc leads to this very inode, also if that is a symbolic link. */
  setOwner(uid: number, gid: number): void {
    chownSync(this.#path, uid, gid);
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }

  get #path(): string {
    return `/proc/self/fd/${this.#fd.borrow().number}`;
  }
}

/** proc_pid_fdinfo(5). A device number does not tell a bind mount from what it lies in. */
function mountOf(fd: OwnedFd): string {
  const text = readFileSync(`/proc/self/fdinfo/${fd.borrow().number}`, "latin1");
  return /^mnt_id:\s*(\d+)$/m.exec(text)?.[1] ?? "";
}
