import { constants, type Stats } from "node:fs";
import { type FileHandle, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * One open log file that grows at its end. Its size is what the file had when it was opened plus what was appended here.
 *
 * O_NONBLOCK: a fifo in place of the file must not hold a thread for ever; regular files ignore it.
 */
export class LogFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #regular: boolean;
  readonly #inode: string;
  #size: number;

  private constructor(path: string, handle: FileHandle, there: Stats) {
    this.#path = path;
    this.#handle = handle;
    this.#regular = there.isFile();
    this.#inode = inode(there);
    this.#size = there.size;
  }

  /** Makes missing folders (0755) and the file (`mode` less umask). Throws what open(2) and mkdir(2) say. */
  static async open(path: string, mode: number): Promise<LogFile> {
    const flags =
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;
    const handle = await open(path, flags, mode).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await makeFolder(dirname(path));
      return open(path, flags, mode);
    });
    try {
      return new LogFile(path, handle, await handle.stat());
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /** A device or a fifo is never rotated. */
  get canRotate(): boolean {
    return this.#regular;
  }

  /** False once somebody has removed or renamed the file, so that what is appended would be found by nobody. */
  async isAtItsPath(): Promise<boolean> {
    if (!this.#regular) return true;
    const there = await stat(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    return there !== undefined && inode(there) === this.#inode;
  }

  /** One writev(2). Returns how many bytes the file took, which may be fewer than given. */
  async append(buffers: readonly Buffer[]): Promise<number> {
    const { bytesWritten } = await this.#handle.writev(buffers);
    this.#size += bytesWritten;
    return bytesWritten;
  }

  /**
   * `path` becomes `path.1`, `path.1` becomes `path.2`, and so on; the one beyond `keep` is overwritten, with `keep` 0 the file is removed.
   * The caller opens the new file afterwards; this one still writes to the file that was renamed.
   */
  async rotate(keep: number): Promise<void> {
    if (keep === 0) {
      await unlink(this.#path);
      return;
    }
    for (let number = keep - 1; number >= 0; number--) {
      const from = number === 0 ? this.#path : `${this.#path}.${number}`;
      await rename(from, `${this.#path}.${number + 1}`).catch((error: NodeJS.ErrnoException) => {
        // A gap in the numbers is normal: there were not so many files yet, or somebody cleaned up.
        if (error.code !== "ENOENT") throw error;
      });
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function inode({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

/** As `mkdir -p`. Not Node's own `recursive`: below a folder that can have none, such as /proc, that turns round for ever and blocks a thread. */
async function makeFolder(path: string): Promise<void> {
  const make = () =>
    mkdir(path, 0o755).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await make();
  });
}
