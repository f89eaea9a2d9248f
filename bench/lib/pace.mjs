/**
 * Calls `send(due, number)` at a fixed rate, whatever became of the calls before: an open loop. `due` is when it should have been called, as of
 * performance.now(); `number` counts from 1. Ends by itself after `limit` calls or `durationMs`, or by `stop()`; then `onEnd` is called, once.
 */
export class Pace {
  #options;
  #timer;
  #sent = 0;
  #ended = false;
  startedAt = performance.now();

  /** @param {{rate: number, limit: number, durationMs: number, send: (due: number, number: number) => void, onEnd: () => void}} options */
  constructor(options) {
    this.#options = options;
    setImmediate(() => this.#tick());
  }

  get ended() {
    return this.#ended;
  }

  stop() {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#options.onEnd();
  }

  #tick() {
    if (this.#ended) return;
    const { rate, limit, durationMs, send } = this.#options;
    const nextDue = () => this.startedAt + (this.#sent * 1000) / rate;
    for (let due = nextDue(); due <= performance.now(); due = nextDue()) {
      if (this.#sent >= limit || due - this.startedAt >= durationMs) return this.stop();
      this.#sent += 1;
      send(due, this.#sent);
      if (this.#ended) return;
    }
    if (this.#sent >= limit) this.stop();
    else this.#timer = setTimeout(() => this.#tick(), Math.max(1, nextDue() - performance.now()));
  }
}
