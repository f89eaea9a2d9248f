import type { ServiceView, WaitFor } from "../control/api.js";
import type { Service } from "./service.js";

/**
 * Resolves when something holds of a service, at once if it does.
 *
 * @param gone aborted when nobody waits for the answer any more
 */
export function waitFor(
  service: Service,
  what: WaitFor,
  timeoutMs: number,
  gone: AbortSignal | undefined,
): Promise<"reached" | "timed-out"> {
  return new Promise((resolve) => {
    const end = (result: "reached" | "timed-out"): void => {
      clearTimeout(timer);
      unwatch();
      gone?.removeEventListener("abort", giveUp);
      resolve(result);
    };
    const check = (): void => {
      if (holds(service.view(), what)) end("reached");
    };
    const giveUp = (): void => end("timed-out");
    const timer = setTimeout(giveUp, timeoutMs);
    gone?.addEventListener("abort", giveUp);
    const unwatch = service.watch(check);
    check();
  });
}

function holds(view: ServiceView, what: WaitFor): boolean {
  switch (what) {
    case "completed":
      return view.phase === "completed";
    case "ready":
      return view.ready === view.instances;
    case "running":
      return view.workers.some(
        ({ phase, pid }) => pid !== undefined && (phase === "starting" || phase === "running" || phase === "ready"),
      );
    case "stopped":
      return view.workers.length === 0 && view.desired === "stopped";
  }
}
