import type { Socket } from "node:net";
import { hasUnread } from "./node-handle.js";

/**
 * How long kept-alive connections of a retiring worker may still be used.
 *
 * Each gets another time, from half of `lingerMs` on, so that its clients do not all connect anew in the same moment.
 */
export class Linger {
  readonly #lingerMs: number;
  #closeAt = new Map<Socket, number>();

  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
  }

  /** How long this one may stay. At least 1, because 0 means for ever. */
  pickMs(): number {
    return Math.max(1, this.#lingerMs * (0.5 + Math.random() / 2));
  }

  /** Closes those of the idle connections that have been idle for their time. One that is not among them any more begins anew. */
  close(idle: readonly Socket[]): void {
    const now = performance.now();
    const closeAt = new Map<Socket, number>();
    for (const socket of idle) {
      const at = this.#closeAt.get(socket) ?? now + this.pickMs();
      // What has just come is read in this turn of the event loop, and is a request.
      if (at <= now && !hasUnread(socket)) socket.destroySoon();
      else closeAt.set(socket, at);
    }
    this.#closeAt = closeAt;
  }
}
