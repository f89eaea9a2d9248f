/** Numbers in [0, 1) that a seed decides; the seed is printed, and `HOLDFAST_SEED` brings it back. */
export function random(): { readonly seed: number; readonly next: () => number } {
  const seed = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000_007);
  process.stdout.write(`HOLDFAST_SEED=${seed}\n`);
  let state = seed >>> 0;
  return {
    seed,
    // Mulberry32: a few lines, and good enough to choose what to break.
    next: () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
