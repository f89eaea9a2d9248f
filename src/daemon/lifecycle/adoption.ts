import { isAside } from "./aside.js";
import { awaitedHook } from "./hooks.js";
import { kill, observes, stopSignalOf, sweepAtOnce } from "./worker-moves.js";
import type { Worker, WorkerEffect, WorkerEvent, WorkerPolicy } from "./worker-state.js";

/** While there was no supervisor nobody looked what is in flight: so long is left to look again before a drain is over. */
const LOOKS_AGAIN_MS = 2_000;

/**
 * What must be asked for again after a new supervisor has read this state back, given what the keeper knows.
 *
 * The state is written before its effects, so each effect either reached the keeper or is repeated here; spawning and arming
 * are safe to repeat because the keeper refuses a key it has.
 *
 * @param keeper what it has of this worker; `wasSignalled`: it has sent what `stopSignalOf` says
 */
export function resumeWorker(
  worker: Worker,
  keeper: { readonly child: boolean; readonly arm: boolean; readonly wasSignalled: boolean },
  policy: WorkerPolicy,
): { readonly effects: readonly WorkerEffect[]; readonly events: readonly WorkerEvent[] } {
  const id = worker.id;
  const lost: WorkerEvent[] = [{ type: "exited", end: { kind: "unknown" } }];
  switch (worker.state.phase) {
    case "armed":
      return keeper.arm || keeper.child ? nothing : { effects: [{ type: "arm", worker: id }], events: [] };
    case "disarming":
      if (keeper.arm) return { effects: [{ type: "disarm", worker: id }], events: [] };
      return keeper.child ? nothing : { effects: [], events: [{ type: "disarmed", inTime: true }] };
    case "preparing":
      return worker.state.unwanted === true
        ? { effects: [], events: [{ type: "hooks", hook: "before_start", ok: false }] }
        : hooksAgain(worker);
    case "confirming":
      return keeper.child ? hooksAgain(worker) : { effects: [], events: lost };
    case "parting":
      if (keeper.child || worker.state.end !== undefined) return hooksAgain(worker);
      return { ...hooksAgain(worker), events: lost };
    case "clearing":
      return hooksAgain(worker);
    case "starting":
      return keeper.child ? nothing : { effects: [{ type: "spawn", worker: id }], events: [] };
    case "warming":
      if (!keeper.child) return { effects: [], events: lost };
      return observes(policy) && worker.state.settled === undefined
        ? { effects: [{ type: "observe", worker: id }], events: [] }
        : nothing;
    case "ready":
      if (!keeper.child) return { effects: [], events: lost };
      if (worker.drain === undefined) return nothing;
      if (!isAside(worker)) return { effects: [{ type: "open-valve", worker: id }], events: [] };
      return {
        effects: [{ type: worker.drain.valve === undefined ? "find-valve" : "close-valve", worker: id }],
        events: [],
      };
    case "draining": {
      if (!keeper.child) return { effects: [], events: lost };
      const events = [{ type: "extend", byMs: LOOKS_AGAIN_MS } as const];
      if (worker.drain?.valve === undefined) return { effects: [{ type: "find-valve", worker: id }], events };
      const closing = worker.state.closing ? [{ type: "close-connections", worker: id } as const] : [];
      return { effects: [{ type: "close-valve", worker: id }, ...closing], events };
    }
    case "stopping":
      if (!keeper.child) return { effects: [], events: lost };
      return keeper.wasSignalled || stopSignalOf(worker, policy) === undefined
        ? nothing
        : {
            effects: [{ type: "signal", worker: id, signal: stopSignalOf(worker, policy)! }],
            // Its time begins with the signal. What was written before may have passed while there was no supervisor.
            events: [{ type: "extend", byMs: policy.stop.timeoutMs }],
          };
    case "killing":
      if (!keeper.child) return { effects: [], events: lost };
      return { effects: [kill(worker, policy)], events: [] };
    case "sweeping": {
      const asks = worker.state.deadline !== undefined;
      const sweep: WorkerEffect = asks
        ? { type: "sweep", worker: id, signal: policy.stop.signal }
        : sweepAtOnce(worker, policy);
      return { effects: [sweep], events: [] };
    }
    case "gone":
      return { effects: [{ type: "acknowledge", worker: id }], events: [] };
  }
}

/** What ran of them was ended with the supervisor that ran it. */
function hooksAgain({ id, state }: Worker): { effects: WorkerEffect[]; events: WorkerEvent[] } {
  const hook = awaitedHook(state);
  return { effects: hook === undefined ? [] : [{ type: "run-hooks", worker: id, hook }], events: [] };
}

const nothing = { effects: [], events: [] } as const;
