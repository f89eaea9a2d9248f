import { createConnection } from "node:net";
import { ignoreLateError } from "./exchange.mjs";

/** How long an answered connection may take to its end before it is destroyed. */
const LINGER_MS = 1000;

/**
 * The connections of a load: one for each request (`kept` 0), or `kept` of them that take turns. Where fewer are open, the next request
 * opens one, so after a server closed all of them there are as many again soon, and each has carried a request. Where all
 * are busy, the next request opens a further one, which is closed after it.
 *
 * Counts: opened; closedIdle (by the server, while no request was on it, unannounced); closedAnnounced (`Connection: close` on a kept one);
 * resetAfter (reset after its whole answer, which harms nobody); unsolicited (bytes that nobody had asked for).
 */
export class Connections {
  counts = { opened: 0, closedIdle: 0, closedAnnounced: 0, resetAfter: 0, unsolicited: 0 };
  #target;
  #kept;
  /** Those that take turns, idle or with a request on them. */
  #members = new Set();
  /** Idle ones, the one that waits for the longest time first, each with what stops looking after it. */
  #idle = new Map();
  #all = new Set();

  constructor(target, kept) {
    this.#target = target;
    this.#kept = kept;
  }

  /** {socket, reused}; it comes back by `release`. */
  take() {
    const [oldest] = this.#idle.keys();
    if (oldest === undefined || this.#members.size < this.#kept) return { socket: this.#connect(), reused: false };
    this.#idle.get(oldest)();
    return { socket: oldest, reused: true };
  }

  /** After an exchange, with what that said of the connection. */
  release(socket, { reusable, announced }) {
    if (this.#kept > 0 && announced) this.counts.closedAnnounced += 1;
    if (reusable && this.#members.has(socket)) this.#watch(socket);
    else this.#leave(socket);
  }

  /** Ends all of them at once. */
  destroy() {
    for (const stop of [...this.#idle.values()]) stop();
    for (const socket of this.#all) socket.destroy();
  }

  #connect() {
    const socket = createConnection({ ...this.#target, noDelay: true, allowHalfOpen: true });
    this.counts.opened += 1;
    this.#all.add(socket);
    if (this.#members.size < this.#kept) this.#members.add(socket);
    socket.on("close", () => {
      this.#all.delete(socket);
      this.#members.delete(socket);
    });
    return socket;
  }

  /** Looks after an idle connection until it is taken again or ends. */
  #watch(socket) {
    const lose = (count) => {
      stop();
      this.#members.delete(socket);
      this.counts[count] += 1;
      socket.destroy();
    };
    const onEnd = () => lose("closedIdle");
    const onData = () => lose("unsolicited");
    const stop = () => {
      this.#idle.delete(socket);
      socket.off("end", onEnd).off("error", onEnd).off("data", onData);
    };
    socket.on("end", onEnd).on("error", onEnd).on("data", onData);
    this.#idle.set(socket, stop);
  }

  /** The last request is over. It is read to its end, so that a reset can be told from an orderly one. */
  #leave(socket) {
    this.#members.delete(socket);
    if (socket.destroyed || socket.connecting) {
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    const onReset = () => {
      this.counts.resetAfter += 1;
    };
    socket.off("error", ignoreLateError).on("error", onReset);
    socket.on("close", () => clearTimeout(timer));
    socket.resume().end();
  }
}
