import type { Keeper } from "./keeper/keeper-client.js";
import { serviceKey } from "./service-store.js";

/** The note in the keeper that a service's state is found again by. It is written where it says something new. */
export class ServiceNote {
  readonly #keeper: Pick<Keeper, "hold">;
  readonly #key: string;
  readonly #refused: (error: Error) => void;
  #written: Buffer | undefined;

  constructor(service: string, keeper: Pick<Keeper, "hold">, refused: (error: Error) => void) {
    this.#key = serviceKey(service);
    this.#keeper = keeper;
    this.#refused = refused;
  }

  /** It is on its way when this returns, before whatever is asked of the keeper next. */
  write(state: Buffer): void {
    if (this.#written?.equals(state)) return;
    this.#written = state;
    this.#keeper.hold(this.#key, state, [], true).catch(this.#refused);
  }
}
