import { setTimeout as pause } from "node:timers/promises";

/**
 * Asks again and again until `look` answers with something other than undefined or false, and resolves with that.
 * For facts that only /proc or a foreign program knows, where there is no event to wait for.
 * Throws after `timeoutMs`; `what` completes the sentence "… did not happen: ".
 */
export async function until(what, look, { timeoutMs = 10_000, everyMs = 5 } = {}) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await look();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`this did not happen within ${timeoutMs} ms: ${what}`);
    await pause(everyMs);
  }
}
