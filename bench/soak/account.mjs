/**
 * What explains what went wrong in a soak, and what does not. Pure: lists of what was done and what was seen come in.
 * Times are those of Date.now().
 */

/** How long after the end of a connection this side may learn of it: the machine is busy. */
const LEARNS_WITHIN_MS = 5000;
/** An asker may be affected by what happened so long before: the next supervisor undoes an apply first, and completes a restart. */
const LINGERS_MS = 20_000;

/**
 * Whose failure it is that a request failed: "killed" (the worker that had it was killed), "hard" (its service was restarted with --hard meanwhile) or undefined.
 *
 * @param {{service: string, port?: number, sentAt: number, endedAt: number}} failure
 * @param {readonly {kind: string, at: number, service?: string, ports?: Set<number>}[]} faults
 * @param {readonly {kind: string, service?: string, begun: number, ended: number}[]} actions
 * @returns {"killed" | "hard" | undefined}
 */
export function explain({ service, port, sentAt, endedAt }, faults, actions) {
  const killed = faults.some(
    (fault) =>
      fault.kind === "kill-worker" &&
      fault.service === service &&
      fault.ports?.has(port) &&
      sentAt <= fault.at + LEARNS_WITHIN_MS &&
      endedAt >= fault.at &&
      endedAt <= fault.at + LEARNS_WITHIN_MS,
  );
  if (killed) return "killed";
  const hard = actions.some(
    (action) =>
      action.kind === "hard-restart" &&
      action.service === service &&
      sentAt <= action.ended &&
      endedAt >= action.begun &&
      endedAt <= action.ended + LEARNS_WITHIN_MS,
  );
  return hard ? "hard" : undefined;
}

/**
 * Datagrams that may be lost: each worker that ends without having been drained takes one with it, the one that it has in hand.
 *
 * @param {string} service
 * @param {number} most workers that the service ever has
 */
export function datagramsInHand(service, most, faults, actions) {
  const killed = faults.filter((fault) => fault.kind === "kill-worker" && fault.service === service).length;
  const hard = actions.filter((action) => action.kind === "hard-restart" && action.service === service).length;
  return killed + hard * most;
}

/** Actions whose outcome nothing explains: not as asked, and no worker or supervisor was killed meanwhile or shortly before. */
export function unexplainedOutcomes(actions, faults) {
  const good = ["done", "unchanged"];
  return actions.filter((action) => {
    if (action.wrong !== undefined) return true;
    if (good.includes(action.result)) return false;
    const disturbed = faults.some(({ kind, service, at }) => {
      const concerns = kind !== "kill-worker" || action.service === undefined || service === action.service;
      return concerns && at <= action.ended && at >= action.begun - LINGERS_MS;
    });
    if (action.result === "unknown" || action.result === "superseded") return !disturbed;
    return !disturbed || action.result === "refused";
  });
}

/**
 * Rolling restarts in which a service with ready workers had none for a while, although nobody killed one.
 *
 * @param {readonly string[]} services those of which it is promised
 */
export function unreadyRestarts(actions, faults, services) {
  return actions.filter(({ kind, receipts = [], begun, ended }) => {
    if (kind === "hard-restart") return false;
    return receipts.some(({ service, longestUnreadyMs }) => {
      const killed = faults.some(
        (fault) =>
          fault.kind === "kill-worker" &&
          fault.service === service &&
          fault.at <= ended &&
          fault.at >= begun - LINGERS_MS,
      );
      return services.includes(service) && longestUnreadyMs > 0 && !killed;
    });
  });
}

/**
 * Whether all that was logged is accounted for, in lines of 100 bytes.
 *
 *   tally      LogTally
 *   kills      of the supervisor: each may lose what it had read and not written yet, its queue and what it had in hand
 *   dropped    lines that the product says a log file did not take
 */
export function judgeLog({ missing, noted, notes, doubled, fragments }, { kills, dropped }) {
  const counted = Math.round(noted / 100) + dropped;
  const uncounted = missing - counted;
  // A place where something is missing is a piece of a line before it and one behind it.
  const blurred = 2 * notes + 2 * kills;
  const allowed = kills * 2 * 10_486 + blurred;
  return {
    counted,
    uncounted,
    allowed,
    ok: doubled === 0 && uncounted >= -blurred && uncounted <= allowed && fragments <= 4 * (notes + kills) + 100,
  };
}
