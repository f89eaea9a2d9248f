import type { ReceiptView } from "./receipt-view.js";
import type { FailureView } from "./service-view.js";

/** What `apply` would change, or has changed. A key is named, its value is not: it may be a secret. */
export interface PlannedChange {
  readonly subject: "socket" | "service" | "supervisor" | "files";
  readonly name: string;
  readonly change: "add" | "change" | "remove";
  /** How gently; of a change only. `live`: nothing that runs is touched. `rebind` and `restart` cannot be applied. */
  readonly how?: "live" | "rolling" | "rebind" | "restart";
  /** As in the file; `socket.NAME` for what a service has from its socket. */
  readonly keys: readonly string[];
  readonly message: string;
}

export interface PlanView {
  /** Of this change from what is in force to what the files say now. */
  readonly id: string;
  readonly files: readonly string[];
  /** Empty: the files say what is in force. */
  readonly changes: readonly PlannedChange[];
  /** What is doubtful in the files, one text each. */
  readonly warnings: readonly string[];
}

/** What became of an `apply`. `failed`: nothing was touched. `rolled-back`: a worker failed, and everything is as before. */
export interface ApplyView {
  readonly result: "done" | "unchanged" | "failed" | "rolled-back";
  readonly message: string;
  readonly changes: readonly PlannedChange[];
  /** Where a service has failed: which one, and why. */
  readonly service?: string;
  readonly failure?: FailureView;
  /** One for each service whose workers were replaced. */
  readonly receipts: readonly ReceiptView[];
  readonly durationMs: number;
}
