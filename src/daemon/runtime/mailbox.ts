/** What a machine is to hear, one event at a time and in order; also what its own steps bring about. */
export class Mailbox<Event> {
  readonly #hear: (event: Event) => void;
  readonly #events: Event[] = [];
  #hearing = false;
  #held = false;

  constructor(hear: (event: Event) => void) {
    this.#hear = hear;
  }

  /** From now on events wait. */
  hold(): void {
    this.#held = true;
  }

  /** No longer: what has come meanwhile is heard before the next event. */
  release(): void {
    this.#held = false;
  }

  /** True: all is heard. False: an event is being heard, or events wait, and this one comes after them. */
  put(event: Event): boolean {
    this.#events.push(event);
    if (this.#hearing || this.#held) return false;
    this.#hearing = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#hear(next);
    } finally {
      this.#hearing = false;
    }
    return true;
  }
}
