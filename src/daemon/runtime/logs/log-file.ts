import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, unlink } from "node:fs/promises";
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
  #size: number;

  private constructor(path: string, handle: FileHandle, regular: boolean, size: number) {
    this.#path = path;
    this.#handle = handle;
    this.#regular = regular;
    this.#size = size;
  }

  /** Makes missing folders (0755) and the file (`mode` less umask). Throws what open(2) and mkdir(2) say. */
  static async open(path: string, mode: number): Promise<LogFile> {
    const flags =
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;
    const handle = await open(path, flags, mode).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      return open(path, flags, mode);
    });
    try {
      const stat = await handle.stat();
      return new LogFile(path, handle, stat.isFile(), stat.size);
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
