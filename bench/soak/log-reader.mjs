import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";

const LOOK_MS = 20;
const CHUNK = 1 << 20;

/**
 * Reads a log file that Holdfast rotates, from its beginning, each byte once, through all its successors.
 *
 *   take   (bytes: Buffer) => void; the memory is used again afterwards
 *   keep   as in the configuration
 */
export class LogReader {
  #path;
  #keep;
  #take;
  #fd;
  #over = false;
  #buffer = Buffer.allocUnsafe(CHUNK);
  #loop;
  /** Set when files came faster than they were read: then nothing is known of what was missed. */
  lostTrack = false;

  constructor({ path, keep, take }) {
    this.#path = path;
    this.#keep = keep;
    this.#take = take;
    this.#loop = this.#run();
  }

  /** Reads what is there, up to the end, and no more. */
  async stop() {
    this.#over = true;
    await this.#loop;
  }

  async #run() {
    for (let last = false; ; last = this.#over) {
      do await this.#readToEnd();
      while (this.#advance());
      if (last || this.lostTrack) break;
      await pause(LOOK_MS);
    }
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  async #readToEnd() {
    if (this.#fd === undefined) return;
    for (;;) {
      const read = readSync(this.#fd, this.#buffer, 0, CHUNK, null);
      if (read === 0) return;
      this.#take(this.#buffer.subarray(0, read));
      await turn();
    }
  }

  /** Opens the file that follows the one that was read; false if that is the last one. */
  #advance() {
    if (this.#fd === undefined) {
      this.#fd = this.#open(this.#path);
      return this.#fd !== undefined;
    }
    const place = this.#place();
    if (place === 0 || place === undefined) return false;
    const next = this.#open(this.#name(place - 1));
    if (next === undefined) return false; // Between two renames of a rotation: the next look finds it.
    if (this.#place() !== place) {
      closeSync(next); // Another rotation came in between.
      return true;
    }
    // What was appended after the last read and before the rename: nobody writes to it any more.
    for (let read = 1; read > 0; ) {
      read = readSync(this.#fd, this.#buffer, 0, CHUNK, null);
      if (read > 0) this.#take(this.#buffer.subarray(0, read));
    }
    closeSync(this.#fd);
    this.#fd = next;
    return true;
  }

  /** Which of the files is open: 0 is the newest. */
  #place() {
    const { ino } = fstatSync(this.#fd);
    for (let number = 0; number <= this.#keep; number++)
      if (statSync(this.#name(number), { throwIfNoEntry: false })?.ino === ino) return number;
    // Renamed while this looked, or removed; the oldest one that is left would have been it.
    this.lostTrack = fstatSync(this.#fd).nlink === 0;
    return undefined;
  }

  #name(number) {
    return number === 0 ? this.#path : `${this.#path}.${number}`;
  }

  #open(path) {
    try {
      return openSync(path, "r");
    } catch (error) {
      if (error.code === "ENOENT") return undefined;
      throw error;
    }
  }
}
