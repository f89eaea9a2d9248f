/** Beyond the time that a successor has: until its answer must have come. */
const ANSWER_MS = 1000;

/**
 * Calls back once a question that is asked now, and void after `adoptMs`, can have no answer any more: not even one that waits in our channel because it was us
 * who were stopped.
 */
export function afterAnswers(adoptMs: number, judge: () => void): NodeJS.Timeout {
  return setTimeout(() => void turnsOfTheLoop().then(judge), adoptMs + ANSWER_MS);
}

/** Until the event loop has looked at its descriptors more than once: a channel gives up to 64 records a turn. */
export async function turnsOfTheLoop(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
