/**
 * The phases of a worker in which its hooks run. Each of them ends with `hooks`; the time that a command may take is bounded where it is run.
 *
 *   preparing (before_start) ──done──> starting      ──failed, or retired meanwhile──> clearing
 *   confirming (after_start) ──done──> ready         ──failed──> stopping     ──retire──> stopping
 *   parting (before_stop)    ──done or failed──> stopping, or sweeping where it has ended meanwhile
 *   clearing (after_stop)    ──done or failed──> gone
 *
 * A phase is begun again by the next supervisor: nothing of a command outlives the one that ran it.
 */
import type { Monotonic } from "./end.js";
import { endHooks, outcomeOf } from "./hooks.js";
import { abort } from "./watchdog.js";
import { asked, exited, gone, over, same, spawn, stop, tell, to, up } from "./worker-moves.js";
import type { Worker, WorkerEvent, WorkerPolicy, WorkerState, WorkerStep } from "./worker-state.js";

export type HookedState = Extract<WorkerState, { phase: "preparing" | "confirming" | "parting" | "clearing" }>;

export function stepHooked(
  worker: Worker,
  now: HookedState,
  event: WorkerEvent,
  { at, policy }: { readonly at: Monotonic; readonly policy: WorkerPolicy },
): WorkerStep {
  switch (now.phase) {
    case "preparing": {
      const before = outcomeOf(event, "before_start");
      if (event.type === "retire")
        return to(asked(worker, event.overlaps), { phase: "preparing", unwanted: true }, [endHooks(worker)]);
      if (before === undefined) return same(worker);
      if (now.unwanted === true) return over(worker, { kind: "disarmed" }, policy);
      return before === "done"
        ? spawn(worker, at, policy)
        : over(worker, { kind: "not-started", stage: 0, errno: 0 }, policy);
    }
    case "confirming": {
      if (event.type === "retire") return ending(worker, stop(asked(worker, event.overlaps), at, policy));
      if (event.type === "unwell") return ending(worker, abort(worker, at, policy));
      const after = outcomeOf(event, "after_start");
      if (after === undefined) return same(worker);
      return after === "done" ? up(worker, at, policy) : stop({ ...worker, reason: "hook" }, at, policy);
    }
    case "parting":
      if (event.type === "retire") return same(asked(worker, event.overlaps));
      if (outcomeOf(event, "before_stop") === undefined) return same(worker);
      if (now.end === undefined) return tell(worker, at, policy);
      return exited(
        { ...worker, state: { phase: "stopping", deadline: at + policy.stop.timeoutMs } },
        now.end,
        at,
        policy,
      );
    case "clearing":
      if (event.type === "retire") return same(event.overlaps ? { ...worker, overlaps: true } : worker);
      return outcomeOf(event, "after_stop") === undefined ? same(worker) : gone(worker, now.end);
  }
}

function ending(worker: Worker, step: WorkerStep): WorkerStep {
  return { ...step, effects: [endHooks(worker), ...step.effects] };
}
