import { errnoWords } from "../words.js";
import type { Valve } from "./find-valve.js";
import type { TurnResult } from "./turn.js";

/**
 * Which valve a worker has, and why not a better one, as `status` shows it behind "valve: ".
 *
 * - `epoll`: new connections can be kept from it without its help;
 * - `signal (…)`: only its own handling of the stop signal keeps them from it.
 *
 * @param turned what came of closing it, if that was tried
 */
export function valveWords(
  { registrations, blocking, notPermitted }: Valve,
  turned: readonly TurnResult[] = [],
): string {
  const refused = refusalWords(turned);
  const [thread] = blocking;
  const [hidden] = notPermitted;
  if (thread !== undefined) return `signal (${thread.program}, pid ${thread.pid}, waits in ${thread.call}(2))`;
  if (hidden !== undefined) {
    return `signal (not permitted to look into pid ${hidden}: it is another user's, not dumpable, or Yama forbids it)`;
  }
  if (refused !== undefined) return `signal (${refused})`;
  if (registrations.length === 0) return "signal (no process is seen waiting for its sockets)";
  return "epoll";
}

/** Why a registration could not be changed, the first of them; undefined: all could, as far as they are still there. */
export function refusalWords(turned: readonly TurnResult[]): string | undefined {
  const refused = turned.find(({ outcome }) => outcome === "not-permitted" || outcome === "failed");
  if (refused === undefined) return undefined;
  const { registration, outcome, errno } = refused;
  const { pid } = registration;
  if (outcome === "not-permitted") return `the keeper is not permitted to take the epoll set of pid ${pid}`;
  const { name, meaning } = errnoWords(errno);
  return `the epoll set of pid ${pid} could not be changed: ${name}, ${meaning}`;
}
