/** What a machine is to hear, one event at a time and in order; also what its own steps bring about. */
export class Mailbox<Event> {
  readonly #hear: (event: Event) => void;
  readonly #events: Event[] = [];
  #hearing = false;

  constructor(hear: (event: Event) => void) {
    this.#hear = hear;
  }

  /** True: all is heard. False: an event is being heard, and this one comes after it. */
  put(event: Event): boolean {
    this.#events.push(event);
    if (this.#hearing) return false;
    this.#hearing = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#hear(next);
    } finally {
      this.#hearing = false;
    }
    return true;
  }
}
