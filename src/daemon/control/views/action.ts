import type { ReceiptView } from "./receipt-view.js";
import type { FailureView } from "./service-view.js";

export type Action =
  | { readonly action: "canary"; readonly percent: number }
  | { readonly action: "promote" | "abort" }
  | { readonly action: "start" | "reload" | "reset" }
  /** `beside`: services that the same command stops, so that they go in order. */
  | { readonly action: "stop"; readonly beside?: readonly string[] }
  | { readonly action: "restart"; readonly hard: boolean; readonly check?: boolean }
  | { readonly action: "scale"; readonly workers: number }
  /** `to`: what its earlier workers have left behind gets it, instead of the workers. */
  | { readonly action: "signal"; readonly signal: string; readonly to?: "left-behind" };

/** What became of one action on one service. `rolled-back`: the successor failed, what ran goes on running. */
export interface Outcome {
  readonly service: string;
  readonly result: "done" | "unchanged" | "failed" | "rolled-back" | "superseded" | "not-running" | "timed-out";
  readonly message: string;
  readonly failure?: FailureView;
  /** Of a restart. */
  readonly receipt?: ReceiptView;
  /** Other services that the command has reached, because of what they say of one another. */
  readonly also?: readonly AlsoView[];
  readonly durationMs: number;
}

export interface AlsoView {
  readonly service: string;
  readonly action: "started" | "stopped" | "restarted";
}

export type WaitFor = "ready" | "stopped" | "running" | "completed";
