import { setTimeout as pause } from "node:timers/promises";
import { gone } from "./time-answer.mjs";
import { until } from "./until.mjs";

/** How long a restart whose supervisor died may take to its end: the keeper waits up to 5 s before it starts the next supervisor. */
const SETTLES_WITHIN_MS = 60_000;

/** One rolling restart: {outcome, ms, receipt}. `receipt` is what Holdfast tells about it, where it does. */
export async function restartService(holdfast, service) {
  const begun = performance.now();
  const { result, receipt, message } = await holdfast.act(service, { action: "restart", hard: false });
  return { outcome: result, ms: performance.now() - begun, receipt, message };
}

/**
 * The same, but the supervisor is killed `afterMs` after it has taken the command, however far the restart is then, and the next one
 * finds out what became of it. The outcome is "done" if all workers are new, "forgotten" if none is, else "half".
 */
export async function restartUnderKill(holdfast, service, afterMs) {
  const before = await holdfast.workerPids(service);
  const { pid } = await holdfast.answers();
  const begun = performance.now();
  let over = false;
  const asked = holdfast
    .act(service, { action: "restart", hard: false })
    .catch((error) => error) // Its connection ends with the supervisor.
    .finally(() => {
      over = true;
    });
  const taken = async () => over || (await holdfast.get(`/v1/services/${service}`)).phase !== "ready";
  await until("the restart begins", taken, { everyMs: 1 });
  await pause(afterMs);
  process.kill(pid, "SIGKILL");
  await gone(pid);
  await asked;
  await holdfast.answers(SETTLES_WITHIN_MS);
  const pids = await until(`${service} is settled`, () => settledPids(holdfast, service), {
    timeoutMs: SETTLES_WITHIN_MS,
    everyMs: 20,
  });
  const stayed = pids.filter((worker) => before.includes(worker)).length;
  const outcome = stayed === 0 ? "done" : stayed === before.length ? "forgotten" : "half";
  return { outcome, ms: performance.now() - begun };
}

/** Pids of the workers, once nothing is going on any more. */
async function settledPids(holdfast, service) {
  const { phase, workers } = await holdfast.get(`/v1/services/${service}`);
  const quiet = phase === "ready" && workers.every(({ role, phase }) => role === "current" && phase === "ready");
  return quiet ? workers.map(({ pid }) => pid) : undefined;
}
