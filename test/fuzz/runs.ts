/** How often a random test tries; HOLDFAST_FUZZ_RUNS multiplies it, for runs of hours by hand. */
export function runs(usual: number): number {
  return Math.ceil(usual * Number(process.env.HOLDFAST_FUZZ_RUNS ?? 1));
}
