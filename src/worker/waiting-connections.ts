import { FdWatcher, type OwnedFd, pollReadable } from "../ancillary/index.js";

interface Waiting {
  readonly fd: OwnedFd;
  readonly socket: string;
  readonly watcher: FdWatcher;
  timer?: NodeJS.Timeout;
}

/**
 * Kept-alive connections that came from another worker and on which nothing has come since.
 *
 * No server knows them until something can be read: so they can be given away once more at any time, and no parser has begun a time-out for
 * headers that a client between two requests does not owe.
 */
export class WaitingConnections {
  readonly #waiting = new Set<Waiting>();
  readonly #serve: (fd: OwnedFd, socket: string) => void;

  /** @param serve called with a connection that has something to read, or has ended; takes it over */
  constructor(serve: (fd: OwnedFd, socket: string) => void) {
    this.#serve = serve;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Takes the descriptor over. `socket` is the name of the one on which it was accepted.
   *
   * @param idleMs after so long it is closed; 0: never
   */
  add(fd: OwnedFd, socket: string, idleMs: number): void {
    const watcher = new FdWatcher(fd, () => this.#awake(waiting));
    const waiting: Waiting = { fd, socket, watcher };
    watcher.watch({ readable: true, writable: false });
    this.#waiting.add(waiting);
    this.#limit(waiting, idleMs);
  }

  /** Each is closed after the time that `idleMs` gives for it. */
  limitAll(idleMs: () => number): void {
    for (const waiting of this.#waiting) this.#limit(waiting, idleMs());
  }

  /** Gives all of them up. They are the caller's, and nobody reads them. */
  takeAll(): { readonly fd: OwnedFd; readonly socket: string }[] {
    const all = [...this.#waiting];
    for (const waiting of all) this.#remove(waiting);
    return all;
  }

  closeAll(): void {
    for (const { fd } of this.takeAll()) fd.close();
  }

  #limit(waiting: Waiting, idleMs: number): void {
    clearTimeout(waiting.timer);
    if (idleMs > 0) waiting.timer = setTimeout(() => this.#expire(waiting), idleMs);
  }

  #expire(waiting: Waiting): void {
    // A request that has just come is served: timers run before the event loop looks at descriptors.
    if (pollReadable(waiting.fd)) return this.#awake(waiting);
    this.#remove(waiting);
    waiting.fd.close();
  }

  #awake(waiting: Waiting): void {
    if (!this.#remove(waiting)) return;
    this.#serve(waiting.fd, waiting.socket);
  }

  #remove(waiting: Waiting): boolean {
    clearTimeout(waiting.timer);
    waiting.watcher.close();
    return this.#waiting.delete(waiting);
  }
}
