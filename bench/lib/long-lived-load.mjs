import { once } from "node:events";
import { createConnection } from "node:net";
import { Pace } from "./pace.mjs";
import { continuesPattern, FROM_CLIENT, FROM_SERVER, patternBytes } from "./pattern.mjs";
import { quantile } from "./samples.mjs";

const DEFAULTS = { connections: 1000, rate: 2000, size: 32, limit: 10_000_000, durationMs: 60_000, drainMs: 5000 };
const OPENED_AT_ONCE = 100;

/** See `startLongLivedLoad` of bench/load.mjs. */
export class LongLivedLoad {
  #options;
  #connections = [];
  #pace;
  #stopped = false;
  #counts = { refused: 0, messages: 0, unsent: 0 };
  #latencies = [];
  #lateness = [];
  #lastAnswerAt = 0;
  #longestGapMs = 0;
  #finish;
  #quiet = () => {};

  constructor(options) {
    this.#options = { ...DEFAULTS, ...options };
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    /** Resolves once all connections are open, or were refused. */
    this.opened = this.#begin();
  }

  stop() {
    this.#stopped = true;
    this.#pace?.stop();
    return this.done;
  }

  /** See `startLongLivedLoad`. */
  result() {
    const sum = (count) => this.#connections.reduce((total, connection) => total + count(connection), 0);
    const { refused, messages, unsent } = this.#counts;
    const closed = sum(({ end }) => (end === "closed" ? 1 : 0));
    const reset = sum(({ end }) => (end === "reset" ? 1 : 0));
    const wrong = sum(({ end }) => (end === "wrong" ? 1 : 0));
    const lostBytes = sum(({ sent, received }) => sent - received);
    return {
      connections: this.#connections.length,
      refused,
      closed,
      reset,
      wrong,
      messages,
      unsent,
      bytes: sum(({ sent }) => sent),
      lostBytes,
      failed: refused + sum((one) => (one.end !== undefined || (this.#isOver() && !one.isWhole()) ? 1 : 0)),
      p50: quantile(this.#latencies, 0.5),
      p99: quantile(this.#latencies, 0.99),
      max: quantile(this.#latencies, 1),
      longestGapMs: this.#longestGapMs,
      late: { p99: quantile(this.#lateness, 0.99), max: quantile(this.#lateness, 1) },
    };
  }

  async #begin() {
    const { connections, rate, limit, durationMs } = this.#options;
    for (let first = 0; first < connections; first += OPENED_AT_ONCE) {
      const batch = Math.min(OPENED_AT_ONCE, connections - first);
      await Promise.all(Array.from({ length: batch }, () => this.#open()));
    }
    const send = (due, number) => this.#send(due, number);
    this.#pace = new Pace({ rate, limit, durationMs, send, onEnd: () => void this.#drain() });
    if (this.#stopped) this.#pace.stop();
  }

  async #open() {
    const socket = createConnection({ ...this.#options.target, noDelay: true });
    try {
      await once(socket, "connect");
      this.#connections.push(new Connection(socket, (due) => this.#answered(due)));
    } catch {
      this.#counts.refused += 1; // Whatever the reason, this connection does not exist.
    }
  }

  #send(due, number) {
    const connection = this.#connections[number % this.#connections.length];
    if (connection === undefined || connection.end !== undefined) {
      this.#counts.unsent += 1;
      return;
    }
    this.#counts.messages += 1;
    this.#lateness.push(performance.now() - due);
    connection.send(this.#options.size, due);
  }

  #answered(due) {
    const now = performance.now();
    this.#latencies.push(now - due);
    this.#longestGapMs = Math.max(this.#longestGapMs, now - (this.#lastAnswerAt || due));
    this.#lastAnswerAt = now;
    this.#quiet();
  }

  /** Nothing more is sent: waits until all is answered, at most `drainMs`, and ends. */
  async #drain() {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#options.drainMs);
      this.#quiet = () => {
        if (!this.#connections.every((one) => one.end !== undefined || one.isWhole())) return;
        clearTimeout(timer);
        resolve();
      };
      for (const connection of this.#connections) connection.onEnd = this.#quiet;
      this.#quiet();
    });
    const result = this.result();
    for (const connection of this.#connections) connection.destroy();
    this.#finish(result);
  }

  #isOver() {
    return this.#pace?.ended === true;
  }
}

/** One connection: what was sent on it, and whether what came back is the other side's pattern, byte by byte. */
class Connection {
  sent = 0;
  received = 0;
  /** How it ended before its time: "closed", "reset" or "wrong" (a byte was lost, doubled or changed). */
  end;
  onEnd = () => {};
  #socket;
  #onAnswer;
  /** [position after the last byte of a message, when it was due]. */
  #waiting = [];

  constructor(socket, onAnswer) {
    this.#socket = socket;
    this.#onAnswer = onAnswer;
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("end", () => this.#ended("closed"));
    socket.on("error", () => this.#ended("reset"));
  }

  send(size, due) {
    this.#socket.write(patternBytes(FROM_CLIENT, this.sent, size));
    this.sent += size;
    this.#waiting.push([this.sent, due]);
  }

  /** Whether as many bytes came back as were sent, all right. */
  isWhole() {
    return this.end === undefined && this.received === this.sent;
  }

  destroy() {
    this.#socket.removeAllListeners("end").destroy();
  }

  #take(bytes) {
    if (!continuesPattern(FROM_SERVER, this.received, bytes) || this.received + bytes.length > this.sent) {
      this.#ended("wrong");
      this.#socket.destroy();
      return;
    }
    this.received += bytes.length;
    while (this.#waiting.length > 0 && this.#waiting[0][0] <= this.received) this.#onAnswer(this.#waiting.shift()[1]);
  }

  #ended(how) {
    this.end ??= how;
    this.onEnd();
  }
}
