/** The moves that the table in worker.ts is made of: each makes the next state of a worker, its effects and its facts. */
import type { End, Monotonic } from "./end.js";
import type {
  Announcer,
  Worker,
  WorkerEffect,
  WorkerFact,
  WorkerPolicy,
  WorkerState,
  WorkerStep,
} from "./worker-state.js";

/** A worker at the moment the keeper is asked to start it. */
export function spawnWorker(id: number, slot: number, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const worker: Worker = { id, slot, state: { phase: "starting", deadline: at + policy.ready.timeoutMs } };
  return { worker, effects: [{ type: "spawn", worker: id }], facts: [] };
}

/** A worker that the keeper starts by itself when there is work. */
export function armWorker(id: number, slot: number): WorkerStep {
  return { worker: { id, slot, state: { phase: "armed" } }, effects: [{ type: "arm", worker: id }], facts: [] };
}

export function same(worker: Worker): WorkerStep {
  return { worker, effects: [], facts: [] };
}

export function to(
  worker: Worker,
  state: WorkerState,
  effects: readonly WorkerEffect[] = [],
  facts: readonly WorkerFact[] = [],
): WorkerStep {
  return { worker: { ...worker, state }, effects, facts };
}

export function chain(first: WorkerStep, next: (worker: Worker) => WorkerStep): WorkerStep {
  const second = next(first.worker);
  return {
    worker: second.worker,
    effects: [...first.effects, ...second.effects],
    facts: [...first.facts, ...second.facts],
  };
}

export function asked(worker: Worker, overlaps: boolean): Worker {
  return { ...worker, reason: worker.reason ?? "asked", ...(overlaps ? { overlaps: true as const } : {}) };
}

export function started(
  worker: Worker,
  pid: number,
  forkedAt: Monotonic,
  at: Monotonic,
  policy: WorkerPolicy,
): WorkerStep {
  const { when, settleMs, timeoutMs } = policy.ready;
  const settles = when === "spawned";
  const step = to(
    { ...worker, pid, startedAt: forkedAt },
    {
      phase: "warming",
      deadline: at + timeoutMs,
      ...(settles ? { settled: at + Math.min(settleMs, timeoutMs) } : {}),
    },
    observes(policy) && worker.announced !== true ? [{ type: "observe", worker: worker.id }] : [],
    ["started"],
  );
  const atOnce = worker.announced === true || (settles && settleMs === 0);
  return atOnce ? chain(step, (w) => ready(w, at)) : step;
}

/** Whether the kernel is asked for this worker's readiness. */
export function observes({ ready: { when } }: WorkerPolicy): boolean {
  return when === "listening" || when === "auto";
}

/** Time takes the place of what cannot be seen. */
export function unobservable(worker: Worker, deadline: Monotonic, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  const settled = Math.min(at + policy.ready.settleMs, deadline);
  return to({ ...worker, unobserved: true }, { phase: "warming", deadline, settled });
}

export function heardEarly(worker: Worker, by: Announcer, policy: WorkerPolicy): WorkerStep {
  return same(counts(by, policy) ? { ...worker, announced: true } : worker);
}

export function counts(by: Announcer, { ready: { when } }: WorkerPolicy): boolean {
  return by === when || (when === "auto" && by !== "newline");
}

export function ready(worker: Worker, at: Monotonic): WorkerStep {
  return to({ ...worker, readyAt: at }, { phase: "ready" }, [], ["ready"]);
}

export function neverRan(worker: Worker, stage: number, errno: number): WorkerStep {
  return to(
    worker,
    { phase: "gone", end: { kind: "not-started", stage, errno } },
    [{ type: "acknowledge", worker: worker.id }],
    ["ended"],
  );
}

export function notReady(worker: Worker): WorkerStep {
  return to(
    { ...worker, reason: "ready-timeout", forced: true },
    { phase: "killing" },
    [{ type: "kill-tree", worker: worker.id }],
    ["ready-timeout"],
  );
}

export function stop(worker: Worker, at: Monotonic, policy: WorkerPolicy): WorkerStep {
  return to(
    { ...worker, reason: worker.reason ?? "asked" },
    { phase: "stopping", deadline: at + policy.stop.timeoutMs },
    [{ type: "signal", worker: worker.id, signal: policy.stop.signal }],
    ["stopping"],
  );
}

/**
 * What its process leaves behind when it ends by our wish gets the stop signal and the rest of the stop timeout;
 * what a crash leaves behind is killed at once, because the next worker of the instance waits for it.
 */
export function exited(worker: Worker, end: End, policy: WorkerPolicy): WorkerStep {
  const now = worker.state;
  switch (now.phase) {
    case "stopping":
      return to(worker, { phase: "sweeping", end, deadline: now.deadline }, [
        { type: "sweep", worker: worker.id, signal: policy.stop.signal },
      ]);
    case "armed":
    case "disarming":
    case "starting":
    case "warming":
    case "ready":
    case "killing":
      return to(worker, { phase: "sweeping", end }, [{ type: "sweep", worker: worker.id, signal: "SIGKILL" }]);
    case "sweeping": // Told again after an adoption.
    case "gone":
      return same(worker);
  }
}
