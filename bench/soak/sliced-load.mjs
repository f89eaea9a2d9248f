import { setTimeout as pause } from "node:timers/promises";
import { median } from "../lib/samples.mjs";

/** A load keeps each latency; so it is replaced by another one that often, and memory stays bounded for days. */
const SLICE_MS = 30_000;

/**
 * Load without an end, made of loads with one (bench/load.mjs), whose results are added.
 *
 *   start   () => a load that has begun
 *   rest    none, or () => milliseconds: then each load runs to its own end, and there is a rest before the next one
 */
export class SlicedLoad {
  #start;
  #rest;
  #total = { slices: 0 };
  #medians = [];
  #slowest = {};
  #ending = new Set();
  #over = new AbortController();
  #loop;

  constructor({ start, rest }) {
    this.#start = start;
    this.#rest = rest;
    this.#loop = this.#run();
  }

  /** {sent, answered, …} of all that has ended, see `startLoad` and `startUdpLoad`; p50 is the median of the slices', max and longestGapMs those of the worst. */
  get total() {
    return { ...this.#total, ...this.#slowest, p50: median(this.#medians) };
  }

  /** No more requests; resolves with `total` once each has its outcome. */
  async stop() {
    this.#over.abort();
    await this.#loop;
    await Promise.all(this.#ending);
    return this.total;
  }

  async #run() {
    while (!this.#over.signal.aborted) {
      const load = this.#start();
      if (this.#rest === undefined) {
        await this.#wait(SLICE_MS);
        this.#end(load.stop());
      } else {
        await this.#add(await load.done);
        await this.#wait(this.#rest());
      }
    }
  }

  #wait(ms) {
    return pause(ms, undefined, { signal: this.#over.signal }).catch((error) => {
      if (error.name !== "AbortError") throw error;
    });
  }

  #end(stopped) {
    const added = stopped.then((result) => this.#add(result)).finally(() => this.#ending.delete(added));
    this.#ending.add(added);
  }

  #add({ p50, p99, max, longestGapMs, late, workers, slow, ...counts }) {
    addCounts(this.#total, { ...counts, slices: 1 });
    if (Number.isFinite(p50)) this.#medians.push(p50);
    const worst = { max: Math.max(max, slow?.max || 0), longestGapMs, lateMs: late.max };
    for (const [name, value] of Object.entries(worst))
      if (Number.isFinite(value)) this.#slowest[name] = Math.max(this.#slowest[name] ?? 0, value);
  }
}

/** Adds numbers by name, also those one level deeper. */
function addCounts(total, counts) {
  for (const [name, value] of Object.entries(counts)) {
    if (typeof value === "number") total[name] = (total[name] ?? 0) + value;
    else {
      total[name] ??= {};
      addCounts(total[name], value);
    }
  }
}
