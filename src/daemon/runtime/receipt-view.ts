import type { ReceiptView, RetiredView, SocketReceiptView } from "../control/api.js";
import type { Receipt, Retired } from "../lifecycle/receipt.js";
import { describeEnd } from "./words.js";

/** What the kernel counted during a restart. */
export interface Counted {
  readonly sockets: readonly SocketReceiptView[];
  readonly listenDrops: number;
  readonly listenOverflows: number;
}

/** What the machine noted and what the kernel counted, as the operator sees it. */
export function receiptView(
  service: string,
  receipt: Receipt,
  counted: Counted,
  handedOver: (worker: number) => number,
): ReceiptView {
  return {
    service,
    started: receipt.started.map(({ slot, worker, readyMs }) => ({ instance: `${service}/${slot}`, worker, readyMs })),
    retired: receipt.retired.map((retired) => ({
      ...retiredView(service, retired),
      handedOver: handedOver(retired.worker),
    })),
    longestUnreadyMs: receipt.longestUnreadyMs,
    ...counted,
  };
}

function retiredView(service: string, { slot, valve, end, ...retired }: Retired): Omit<RetiredView, "handedOver"> {
  return { instance: `${service}/${slot}`, ...retired, valve: valve ?? "none", end: describeEnd(end) };
}
