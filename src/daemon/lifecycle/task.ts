/** A service that runs to completion: what makes it complete, and what commands mean for it. */
import type { RestartPolicy, ServiceConfig } from "../config/config.js";
import { classify, type End, isOneOf, type StopReason, wantsRestart } from "./end.js";
import { freshHistory } from "./restart-policy.js";
import { type Instance, unhindered } from "./service-state.js";
import type { Turn } from "./turn.js";
import type { Worker } from "./worker.js";

export function isTask({ type }: ServiceConfig): boolean {
  return type === "task";
}

/** Its exit status is all that counts: a polite signal ends a daemon well, and leaves a task half done. */
export function hasCompleted(end: End, reason: StopReason | undefined, policy: RestartPolicy): boolean {
  if (reason !== undefined || (end.kind !== "exited" && !isOneOf(policy.success, end))) return false;
  return classify(end, reason, policy) === "clean";
}

export function wantsTaskAgain(policy: RestartPolicy, end: End, reason: StopReason | undefined): boolean {
  if (wantsRestart(policy, end, reason)) return true;
  if (end.kind !== "signalled" || reason !== undefined || isOneOf([...policy.prevent, ...(policy.success ?? [])], end))
    return false;
  // A polite signal is a failure of a task, and one of the kind that other signals are.
  return policy.when === "on-failure" || policy.when === "on-abnormal" || policy.when === "on-abort";
}

export function complete(turn: Turn, instance: Instance, { slot, id }: Worker): void {
  turn.setInstance({ ...instance, halted: true, history: freshHistory });
  turn.set({ completed: { at: turn.at, worker: id } });
  turn.clear("before");
  turn.report({ type: "completed", slot, worker: id });
}

/**
 * Another configuration is in force. A task that starts with the supervisor runs again with what has changed, after a run that is under way: before
 * what comes after it is changed. One that is run by hand, or was pulled in, waits for the next time.
 */
export function configureTask(
  turn: Turn,
  asker: number,
  o: { readonly replace: boolean; readonly undoes: boolean },
): void {
  turn.clear("again");
  if (o.undoes) undo(turn);
  if (o.undoes || !o.replace || turn.policy.start !== "boot") return turn.answer([asker], "done");
  turn.endJob("superseded");
  turn.beginJob("start", [asker]);
  const { completed } = turn.state;
  if (completed !== undefined) turn.set({ before: completed });
  if (turn.state.instances.some(({ current }) => current !== undefined)) turn.set({ again: true });
  else turn.eachInstance(unhindered);
}

/** The run with what has changed is taken back: what had completed before counts again, and nothing runs for that. */
function undo(turn: Turn): void {
  const { before, instances } = turn.state;
  if (before === undefined) return;
  turn.endJob("superseded");
  for (const { current } of instances) if (current !== undefined) turn.retire(current, false);
  turn.eachInstance((instance) => ({ ...unhindered(instance), halted: true }));
  turn.set({ completed: before });
  turn.clear("before");
}
