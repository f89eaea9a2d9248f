import { type NativeFdWatcher, native } from "./native.js";
import { type Fd, numberOf } from "./owned-fd.js";

/** What to wait for, or what has come. */
export interface Readiness {
  readable: boolean;
  writable: boolean;
}

/**
 * Tells when a descriptor is readable or writable (uv_poll, level-triggered): as long as it is, once per turn of the event loop.
 *
 * The descriptor stays the caller's and must outlive the watcher: `close()` first. End of file, hang-up and errors count as
 * readable; the next call on the descriptor tells which. The kernel knows one watcher per descriptor number. Watching does not make the
 * descriptor non-blocking. Throws EPERM for regular files, which are always ready.
 */
export class FdWatcher {
  readonly #native: NativeFdWatcher;

  constructor(fd: Fd, onEvent: (event: Readiness) => void) {
    if (typeof onEvent !== "function") throw new TypeError("onEvent must be a function");
    this.#native = new native.FdWatcher(numberOf(fd), (readable, writable) => onEvent({ readable, writable }));
  }

  /** Replaces the interest; neither = pause. A watcher begins paused. After `close` it does nothing. */
  watch(interest: Readiness): void {
    this.#native.watch(interest.readable, interest.writable);
  }

  /** The event loop waits for this watcher (the default while it watches). */
  ref(): void {
    this.#native.ref();
  }

  unref(): void {
    this.#native.unref();
  }

  /** Idempotent; no event comes after it, not even one that was already waiting. */
  close(): void {
    this.#native.close();
  }
}
