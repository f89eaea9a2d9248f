import { OUTCOMES } from "./exchange.mjs";
import { quantile } from "./samples.mjs";

/** What became of the requests of a load so far. Times are those of performance.now(). */
export class Tally {
  #startedAt;
  #outcomes = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0]));
  #errors = {};
  #latencies = { fast: [], slow: [] };
  #lateness = [];
  #lastAnswerAt = 0;
  #longestGapMs = 0;
  #workers = {};

  constructor(startedAt) {
    this.#startedAt = startedAt;
  }

  /** A request was sent at `sentAt` that was due at `due`. */
  sent(due, sentAt) {
    this.#lateness.push(sentAt - due);
  }

  /** @param {{due: number, now: number, slow: boolean, outcome: string, text: string, worker?: string, code?: string}} end */
  ended({ due, now, slow, outcome, text, worker, code }) {
    this.#outcomes[outcome] += 1;
    if (code !== undefined) this.#errors[code] = (this.#errors[code] ?? 0) + 1;
    if (outcome !== "answered") return;
    this.#latencies[slow ? "slow" : "fast"].push(now - due);
    this.#longestGapMs = Math.max(this.#longestGapMs, now - (this.#lastAnswerAt || due));
    this.#lastAnswerAt = now;
    this.#count(worker ?? /\d+/.exec(text)?.[0], now - this.#startedAt);
  }

  result() {
    const answered = this.#outcomes.answered;
    const idleRace = this.#outcomes["idle-race"];
    const sent = this.#lateness.length;
    const { fast, slow } = this.#latencies;
    return {
      sent,
      answered,
      failed: sent - answered - idleRace,
      idleRace,
      outcomes: { ...this.#outcomes },
      errors: { ...this.#errors },
      p50: quantile(fast, 0.5),
      p99: quantile(fast, 0.99),
      max: quantile(fast, 1),
      slow: { answered: slow.length, p50: quantile(slow, 0.5), p99: quantile(slow, 0.99), max: quantile(slow, 1) },
      longestGapMs: this.#longestGapMs,
      late: { p99: quantile(this.#lateness, 0.99), max: quantile(this.#lateness, 1) },
      workers: structuredClone(this.#workers),
    };
  }

  #count(worker, atMs) {
    if (worker === undefined) return;
    const seen = this.#workers[worker];
    if (seen === undefined) this.#workers[worker] = { answers: 1, firstMs: atMs, lastMs: atMs };
    else {
      seen.answers += 1;
      seen.lastMs = atMs;
    }
  }
}
