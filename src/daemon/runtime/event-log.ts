import type { EventView } from "../control/api.js";
import type { Clock } from "./clock.js";

/** The newest events, for `events` and for those who follow. Bounded; the oldest fall out. */
export class EventLog {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #followers = new Set<(event: EventView) => void>();
  #events: EventView[] = [];
  #sequence = 0;

  constructor(clock: Clock, capacity = 2_000) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  add(event: Omit<EventView, "sequence" | "at">): void {
    this.#sequence += 1;
    const view: EventView = { sequence: this.#sequence, at: this.#clock.wall().toISOString(), ...event };
    this.#events.push(view);
    // Cut in blocks: shifting at each event would copy the array each time.
    if (this.#events.length > this.#capacity * 2) this.#events = this.#events.slice(-this.#capacity);
    for (const take of this.#followers) take(view);
  }

  last(count: number): readonly EventView[] {
    return count <= 0 ? [] : this.#events.slice(-Math.min(count, this.#capacity));
  }

  follow(take: (event: EventView) => void): () => void {
    this.#followers.add(take);
    return () => this.#followers.delete(take);
  }
}
