/** Commands before and after the start and the stop of a worker: who has any, and the phases in which a worker waits for them. */
import type { HookName } from "../config/config.js";
import type { Worker, WorkerEffect, WorkerEvent, WorkerPolicy, WorkerState, WorkerStep } from "./worker-state.js";

export function hasHooks({ hooks }: WorkerPolicy, hook: HookName): boolean {
  return (hooks?.[hook]?.length ?? 0) > 0;
}

/** Goes into the phase that lasts until they are done. */
export function runHooks(worker: Worker, state: WorkerState, hook: HookName): WorkerStep {
  return { worker: { ...worker, state }, effects: [{ type: "run-hooks", worker: worker.id, hook }], facts: [] };
}

export function endHooks({ id }: Worker): WorkerEffect {
  return { type: "end-hooks", worker: id };
}

/** What became of those that this phase waits for; undefined: this is something else. */
export function outcomeOf(event: WorkerEvent, hook: HookName): "done" | "failed" | undefined {
  if (event.type !== "hooks" || event.hook !== hook) return undefined;
  return event.ok ? "done" : "failed";
}

/** Which hooks a worker in this state waits for. */
export function awaitedHook({ phase }: WorkerState): HookName | undefined {
  switch (phase) {
    case "preparing":
      return "before_start";
    case "confirming":
      return "after_start";
    case "parting":
      return "before_stop";
    case "clearing":
      return "after_stop";
    default:
      return undefined;
  }
}
