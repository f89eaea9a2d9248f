import type { Outcome } from "../../control/api.js";
import { seconds } from "../words.js";
import type { Reloaded } from "./worker-reloads.js";

/** What became of a reload, for whoever asked. */
export function reloadOutcome(o: {
  readonly service: string;
  readonly signal: string;
  readonly timeoutMs: number;
  readonly workers: readonly { readonly instance: string; readonly how: Reloaded }[];
}): Pick<Outcome, "result" | "message"> {
  const { service, signal, workers } = o;
  const told = workers.filter(({ how }) => how !== "ended");
  if (workers.length === 0) return { result: "not-running", message: `no worker of ${service} is running` };
  const bad = workers.find(({ how }) => how === "silent" || how === "unfinished" || how === "ended");
  if (bad?.how === "ended")
    return {
      result: "failed",
      message: `${bad.instance} ended instead of reloading; \`holdfast why ${service}\` tells how`,
    };
  if (bad !== undefined) {
    const missing = bad.how === "silent" ? "RELOADING=1" : "READY=1 after RELOADING=1";
    const hint = bad.how === "silent" ? "; reload.wait = false is for programs that never do" : "";
    const message = `${signal} was sent, and ${bad.instance} did not say ${missing} within ${seconds(o.timeoutMs)}${hint}`;
    return { result: "timed-out", message };
  }
  const count = `${told.length} ${told.length === 1 ? "worker" : "workers"}`;
  const reloaded = told.every(({ how }) => how === "reloaded");
  return {
    result: "done",
    message: reloaded ? `${count} of ${service} reloaded` : `${signal} was sent to ${count}`,
  };
}
