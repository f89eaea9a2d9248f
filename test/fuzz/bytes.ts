import { random } from "../fault/random.js";

/** What random tests throw at decoders: noise, and right bytes that were damaged. */
export class RandomBytes {
  readonly seed: number;
  readonly #next: () => number;

  constructor() {
    const { seed, next } = random();
    this.seed = seed;
    this.#next = next;
  }

  /** An integer in [0, below). */
  below(below: number): number {
    return Math.floor(this.#next() * below);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  noise(most: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(most + 1) }, () => this.below(256)));
  }

  /** Some of: other bytes, a piece cut out, a piece repeated, an end cut off. At least one of them. */
  damage(bytes: Uint8Array): Buffer {
    let damaged = Buffer.from(bytes);
    for (let times = 1 + this.below(4); times > 0; times--) {
      const [from, until] = [this.below(damaged.length + 1), this.below(damaged.length + 1)].sort((a, b) => a - b);
      const piece = damaged.subarray(from, Math.min(until!, from! + 64));
      switch (this.below(4)) {
        case 0:
          if (damaged.length > 0) damaged[this.below(damaged.length)] = this.below(256);
          break;
        case 1:
          damaged = Buffer.concat([damaged.subarray(0, from), damaged.subarray(from! + piece.length)]);
          break;
        case 2:
          damaged = Buffer.concat([damaged.subarray(0, from), piece, damaged.subarray(from)]);
          break;
        default:
          damaged = Buffer.from(damaged.subarray(0, until));
      }
    }
    return damaged;
  }
}
