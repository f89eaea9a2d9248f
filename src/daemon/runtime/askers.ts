import type { FailureView, ReceiptView } from "../control/api.js";
import type { Answer } from "../lifecycle/service-state.js";

/** An answer to a command, before it is put into words. */
export interface Answered {
  readonly answer: Answer;
  readonly failure?: FailureView;
  /** Why it failed, where nothing of its own has. */
  readonly because?: string;
  /** Of a restart. */
  readonly receipt?: ReceiptView;
}

/** Those who have asked a machine for something and wait for its answer, by their numbers. An answer to somebody of an earlier supervisor finds nobody. */
export class Askers {
  readonly #waiting = new Map<number, (answered: Answered) => void>();

  /** @param put asks the machine, which may answer at once */
  ask(asker: number, put: () => void): Promise<Answered> {
    return new Promise((resolve) => {
      this.#waiting.set(asker, resolve);
      put();
    });
  }

  answer(asker: number, answered: Answered): void {
    this.#waiting.get(asker)?.(answered);
    this.#waiting.delete(asker);
  }
}
