import type { Act } from "./run.js";

/** The shortest list found that still fails, by leaving out ever smaller pieces. @param most how many lists are tried */
export async function shrink(
  acts: readonly Act[],
  fails: (acts: readonly Act[]) => Promise<boolean>,
  most: number,
): Promise<readonly Act[]> {
  let best = acts;
  let tried = 0;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = best.length - size; start > -size && tried < most; start -= size) {
      const from = Math.max(0, start);
      const shorter = [...best.slice(0, from), ...best.slice(Math.max(from, start + size))];
      if (shorter.length === best.length) continue;
      tried += 1;
      if (await fails(shorter)) best = shorter;
    }
  }
  return best;
}
