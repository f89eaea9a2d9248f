/** Nobody means a word that is longer than this, and distances are only computed below it. */
const LONGEST_WORD = 64;

/**
 * The candidates that a mistyped word may have meant, nearest first, at most two. Case, `-` and `_` do not count.
 * The distance is Damerau's restricted one: a swap of neighbours is one edit. A third of the word may be wrong.
 */
export function nearest(word: string, candidates: Iterable<string>): string[] {
  if (word.length > LONGEST_WORD) return [];
  const plain = simplify(word);
  const found: { candidate: string; distance: number }[] = [];
  for (const candidate of candidates) {
    const other = simplify(candidate);
    const allowed = Math.max(1, Math.floor(Math.max(plain.length, other.length) / 3));
    const distance = editDistance(plain, other, allowed);
    // With nothing of the word left it is a guess, not a correction.
    if (distance <= allowed && distance < plain.length) found.push({ candidate, distance });
  }
  found.sort((a, b) => a.distance - b.distance);
  const best = found[0]?.distance ?? 0;
  return found
    .filter((f) => f.distance === best)
    .slice(0, 2)
    .map((f) => f.candidate);
}

/** `did you mean "a" or "b"?`, or undefined where nothing is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const near = nearest(word, candidates);
  return near.length === 0 ? undefined : `did you mean ${near.map((n) => `"${n}"`).join(" or ")}?`;
}

function simplify(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, "");
}

function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const now = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(row[j]! + 1, now[j - 1]! + 1, row[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      now.push(best);
    }
    before = row;
    row = now;
  }
  return row[b.length]!;
}
