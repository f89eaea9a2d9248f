import { isMainThread } from "node:worker_threads";
import { native } from "./native.js";

/** Numbers that the table has room for at first; it grows to twice what is asked for. */
const initialCount = 256;

/**
 * What this thread owns. A worker thread can end at any instruction (`terminate()`), and its objects with it: then nobody but the
 * addon can close what they owned, so it reads the marks here. The main thread ends with the process, where the kernel closes everything.
 */
class ThreadDescriptors {
  readonly #native = new native.ThreadDescriptors();
  #marks = this.#native.marks(initialCount);

  own(number: number): void {
    if (number >= this.#marks.length) this.#marks = this.#native.marks(number * 2);
    this.#marks[number] = 1;
  }

  disown(number: number): void {
    this.#marks[number] = 0;
  }
}

/** Undefined in the main thread. */
export const threadDescriptors = isMainThread ? undefined : new ThreadDescriptors();
