import { constants, fchmodSync, fchownSync, fstatSync, mkdirSync, openSync, renameSync, type Stats } from "node:fs";
import { readdir, rmdir, unlink } from "node:fs/promises";
import { OwnedFd } from "../../../ancillary/index.js";

const FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Each level of a tree that is removed has a descriptor open. */
const DEEPEST = 64;

/**
 * A folder that is open. What is done in it by a name is done in this very one, wherever its path leads by then: /proc/self/fd stands for openat(2),
 * which Node does not have. No symbolic link is followed from here on.
 */
export class Folder implements Disposable {
  readonly #fd: OwnedFd;

  private constructor(fd: OwnedFd) {
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
    return this.enter(name);
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
