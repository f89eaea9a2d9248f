/**
 * A ready worker that gets no new connections for a while, because it is unhealthy (`health.action = "drain"`).
 *
 *   asked   what can keep them from it is looked for
 *   out     they are kept from it: its valve is closed, or about to be
 *   cannot  nothing can, so it serves on
 *   last    it serves on, because nobody else would
 *
 *   (none), last ──aside──> asked ──valve──> out      (valve `signal`: cannot)
 *   asked, out, none ──needed──> last                 asked, out, cannot, last ──healthy, or pardoned──> (none)
 *
 * Who is set aside, and who is needed, is decided in who-serves.ts. What was closed is noted in `drain`, as with a worker that retires, until it has been
 * opened again; so the next supervisor knows how to undo it, and the retirement of a worker that is out begins with its valve closed.
 */
import type { Valve } from "./drain.js";
import type { Monotonic } from "./end.js";
import type { Worker, WorkerEffect, WorkerEvent, WorkerStep } from "./worker-state.js";

export type Aside =
  | { readonly how: "asked" | "out" | "last" }
  /** `why`: for the operator. */
  | { readonly how: "cannot"; readonly why: string };

/** New connections are kept from it, or are about to be. */
export function isAside({ aside }: Worker): boolean {
  return aside?.how === "asked" || aside?.how === "out";
}

export function turnAside(worker: Worker, { to }: Extract<WorkerEvent, { type: "aside" }>, at: Monotonic): WorkerStep {
  if (worker.state.phase !== "ready") return step(worker);
  switch (to) {
    case "out": {
      if (isAside(worker) || worker.drain !== undefined) return step(worker); // It is still being opened.
      const drain = { since: at, seen: 0, inFlight: 0, closed: 0 };
      return step({ ...worker, aside: { how: "asked" }, drain }, [{ type: "find-valve", worker: worker.id }]);
    }
    case "last": {
      if (worker.aside?.how === "last") return step(worker);
      const back = broughtBack(worker);
      return { ...back, worker: { ...back.worker, aside: { how: "last" } }, facts: ["kept"] };
    }
    case "in":
      return broughtBack(worker);
  }
}

/** What there is to keep new connections from a ready worker, or that what was closed is open after all. */
export function asideValve(worker: Worker, valve: Valve): WorkerStep {
  const { aside, drain } = worker;
  if (drain === undefined || (aside?.how !== "asked" && aside?.how !== "out")) return step(worker);
  if (valve.kind === "signal") {
    const back = broughtBack(worker);
    return { ...back, worker: { ...back.worker, aside: { how: "cannot", why: valve.why } }, facts: ["not-set-aside"] };
  }
  // Once more: its program has added the socket by itself, and that is to be undone as well.
  if (aside.how === "out")
    return step(drain.valve?.kind === valve.kind ? { ...worker, drain: { ...drain, valve } } : worker);
  return {
    worker: { ...worker, aside: { how: "out" }, drain: { ...drain, valve } },
    effects: [{ type: "close-valve", worker: worker.id }],
    facts: ["set-aside"],
  };
}

/** It gets new connections as any other: what was closed is opened. */
export function broughtBack(worker: Worker): WorkerStep {
  const { aside, ...rest } = worker;
  if (aside?.how === "out") return step(rest, [{ type: "open-valve", worker: worker.id }]);
  return step(aside?.how === "asked" ? withoutDrain(rest) : rest);
}

/** It is not ready any more, and does not drain: nothing is opened again for it. */
export function forgetAside({ aside, ...rest }: Worker): Worker {
  return aside?.how === "asked" || aside?.how === "out" ? withoutDrain(rest) : rest;
}

function withoutDrain({ drain: _, ...rest }: Worker): Worker {
  return rest;
}

function step(worker: Worker, effects: readonly WorkerEffect[] = []): WorkerStep {
  return { worker, effects, facts: [] };
}
