import { cutOf, type Valve } from "./drain.js";
import type { End, Monotonic } from "./end.js";
import type { ServiceState } from "./service-state.js";
import type { Worker } from "./worker-state.js";

/** What a restart has done to workers, as far as the machine knows it. Plain data; it is part of the state. */
export interface Receipt {
  readonly started: readonly Started[];
  readonly retired: readonly Retired[];
  /** Not a single worker is ready, since then. */
  readonly unreadySince?: Monotonic;
  /** The longest time without a ready worker, in milliseconds; 0 = there was always one. */
  readonly longestUnreadyMs: number;
}

export interface Started {
  readonly slot: number;
  readonly worker: number;
  /** From its fork until it was ready. */
  readonly readyMs: number;
}

export interface Retired {
  readonly slot: number;
  readonly worker: number;
  /** Missing: it got its stop signal without a drain. */
  readonly valve?: Valve["kind"];
  /** Why there was no better valve. */
  readonly why?: string;
  readonly drainMs: number;
  /** Connections that were in flight when its valve was closed, and were finished; those that its stop signal cut. */
  readonly drained: number;
  /** Closed between two requests, because the time for the drain was over. */
  readonly closed: number;
  readonly cut: number;
  readonly forced: boolean;
  readonly end: End;
}

export const emptyReceipt: Receipt = { started: [], retired: [], longestUnreadyMs: 0 };

export function withReady(receipt: Receipt, { slot, id, startedAt, readyAt }: Worker): Receipt {
  if (startedAt === undefined || readyAt === undefined) return receipt;
  return { ...receipt, started: [...receipt.started, { slot, worker: id, readyMs: Math.round(readyAt - startedAt) }] };
}

export function withRetired(receipt: Receipt, worker: Worker): Receipt {
  const { slot, id, state, drain } = worker;
  if (state.phase !== "gone") return receipt;
  const { end } = state;
  const { valve } = drain ?? {};
  const cut = drain === undefined ? 0 : cutOf(drain);
  const retired: Retired = {
    slot,
    worker: id,
    ...(valve === undefined ? {} : { valve: valve.kind }),
    ...(valve?.kind === "signal" ? { why: valve.why } : {}),
    drainMs: drain?.until === undefined ? 0 : Math.round(drain.until - drain.since),
    drained: Math.max(0, (drain?.seen ?? 0) - cut - (drain?.closed ?? 0)),
    closed: drain?.closed ?? 0,
    cut,
    forced: worker.forced === true,
    end,
  };
  return { ...receipt, retired: [...receipt.retired, retired] };
}

/** Counts the time without any ready worker. */
export function withReadiness(receipt: Receipt, { instances }: ServiceState, at: Monotonic): Receipt {
  const served = instances.some(({ current }) => current?.state.phase === "ready");
  const { unreadySince, ...rest } = receipt;
  if (!served) return unreadySince === undefined ? { ...receipt, unreadySince: at } : receipt;
  if (unreadySince === undefined) return receipt;
  return { ...rest, longestUnreadyMs: Math.max(rest.longestUnreadyMs, Math.round(at - unreadySince)) };
}

/** As it is told: the time without a ready worker that has not ended yet counts until now. */
export function closedReceipt(receipt: Receipt, state: ServiceState, at: Monotonic): Receipt {
  const { unreadySince, ...rest } = withReadiness(receipt, state, at);
  if (unreadySince === undefined) return rest;
  return { ...rest, longestUnreadyMs: Math.max(rest.longestUnreadyMs, Math.round(at - unreadySince)) };
}
