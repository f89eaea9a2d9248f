/** How often things have happened since this supervisor began that should be rare. */
export class Counters {
  readonly #counts: Record<string, number> = {};

  count(counter: string): void {
    this.#counts[counter] = (this.#counts[counter] ?? 0) + 1;
  }

  all(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }
}
