/** Draws of a shuffled deck that is shuffled anew when it is empty: chance, but each card as often as it is in the deck. */
export class Deck {
  #cards;
  #left = [];
  #random;

  constructor(cards, random) {
    this.#cards = cards;
    this.#random = random;
  }

  draw() {
    if (this.#left.length === 0) this.#left = [...this.#cards];
    return this.#left.splice(Math.floor(this.#random() * this.#left.length), 1)[0];
  }
}
