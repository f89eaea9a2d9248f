/** Numbers from a seed: the same seed gives the same ones (xorshift32). */
export class Random {
  #state: number;

  /** `seed`: 1 to 2^32 - 1. */
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** An integer from 0 to `below` - 1. */
  below(below: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % below;
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }
}

/** The seed of this run: HOLDFAST_SEED, else a new one. Tests print it. */
export function chooseSeed(): number {
  const given = Number(process.env.HOLDFAST_SEED);
  return Number.isInteger(given) && given > 0 ? given : 1 + Math.floor(Math.random() * 0xfffffffe);
}
