import { constants } from "node:os";
import { didYouMean } from "./nearest.js";
import { type Parsed, quote, right, wrong } from "./problem.js";

/** As signal(7) names them, without the aliases SIGIOT, SIGPOLL and SIGUNUSED and without the real-time signals. */
export const SIGNAL_NAMES: readonly string[] = Object.keys(constants.signals)
  .filter((name) => !["SIGIOT", "SIGPOLL", "SIGUNUSED"].includes(name))
  .sort();

/** `SIGTERM` from `"SIGTERM"`, `"TERM"` or `"sigterm"`. */
export function parseSignal(value: unknown): Parsed<string> {
  if (typeof value === "number") {
    const name = Object.entries(constants.signals).find(([, number]) => number === value)?.[0];
    return wrong(`expected the name of a signal, found the number ${value}`, {
      code: "wrong-type",
      hint: name === undefined ? undefined : `did you mean "${name}"?`,
    });
  }
  if (typeof value !== "string")
    return wrong('expected the name of a signal such as "SIGTERM"', { code: "wrong-type" });
  const upper = value.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  if (SIGNAL_NAMES.includes(name)) return right(name);
  if (/^SIGRT(MIN|MAX)/.test(name)) return wrong(`${quote(value)}: real-time signals are not supported`);
  return wrong(`there is no signal ${quote(value)}`, { hint: didYouMean(name, SIGNAL_NAMES) });
}

/** Of a name that `parseSignal` gave. */
export function signalNumberOf(name: string): number {
  return constants.signals[name as NodeJS.Signals];
}
