import type { ReceiptView } from "../control/api.js";
import type { Receipt } from "../lifecycle/receipt.js";
import type { Job } from "../lifecycle/service-state.js";
import { type Counted, receiptView } from "./receipt-view.js";
import type { SocketLook } from "./socket-looks.js";
import { SocketWatch } from "./socket-watch.js";

const nothingCounted: Counted = { sockets: [], listenDrops: 0, listenOverflows: 0 };

export interface ReceiptsInput {
  readonly service: string;
  /** At its sockets. */
  readonly look: () => readonly SocketLook[];
  /** How many connections of a worker others have taken. */
  readonly handedOver: (worker: number) => number;
}

/** What is shown of a service's restarts: what the machine has noted, and what the kernel has counted at the sockets meanwhile. */
export class RestartReceipts {
  readonly #o: ReceiptsInput;
  #watch: SocketWatch | undefined;
  #counted = nothingCounted;

  constructor(input: ReceiptsInput) {
    this.#o = input;
  }

  /** To be called after each step of the machine: it begins to count with a restart, and ends with it. */
  follow(job: Job | undefined): void {
    this.#counted = nothingCounted;
    if (job?.kind === "restart" || job?.kind === "restart-hard") {
      this.#watch ??= new SocketWatch(this.#o.look);
      return;
    }
    this.#counted = this.#watch?.end() ?? nothingCounted;
    this.#watch = undefined;
  }

  /** Of the step that was followed last. */
  view(receipt: Receipt): ReceiptView {
    const { service, handedOver } = this.#o;
    return receiptView(service, receipt, this.#counted, handedOver);
  }

  close(): void {
    this.#watch?.end();
  }
}
