import { type Parsed, quote, right, wrong } from "./problem.js";

const UNITS = new Map([
  ["ms", 1],
  ["s", 1000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** What people write elsewhere, and what it is here. */
const OTHER_UNITS = new Map([
  ["m", "min"],
  ["mins", "min"],
  ["minute", "min"],
  ["minutes", "min"],
  ["sec", "s"],
  ["secs", "s"],
  ["second", "s"],
  ["seconds", "s"],
  ["msec", "ms"],
  ["millis", "ms"],
  ["milliseconds", "ms"],
  ["hr", "h"],
  ["hour", "h"],
  ["hours", "h"],
  ["day", "d"],
  ["days", "d"],
]);

/** A timer of Node holds at most 2^31 - 1 ms, 24.8 days. */
export const LONGEST_DURATION_MS = 24 * 86_400_000;

export const DURATION_PATTERN = "^\\s*\\d+(\\.\\d+)?\\s*(ms|s|min|h|d)(\\s*\\d+(\\.\\d+)?\\s*(ms|s|min|h|d))*\\s*$";

const FORM = 'a duration such as "500ms", "30s", "5min", "2h" or "1min 30s"';

/** Whole milliseconds from `"500ms"`, `"1.5s"`, `"1min 30s"`; at most 24 days. */
export function parseDuration(value: unknown): Parsed<number> {
  if (typeof value === "number") {
    return wrong(`expected ${FORM}, found the number ${value}`, {
      code: "wrong-type",
      hint: `a number has no unit: did you mean "${value}s" or "${value}ms"?`,
    });
  }
  if (typeof value !== "string") return wrong(`expected ${FORM}`, { code: "wrong-type" });
  const parts = [...value.matchAll(/\s*(\d+(?:\.\d+)?)\s*([a-zA-Zµ]*)\s*/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || length !== value.length) return wrong(`expected ${FORM}, found ${quote(value)}`);
  let total = 0;
  for (const [, amount = "", unit = ""] of parts) {
    const factor = UNITS.get(unit);
    if (factor === undefined) return wrongUnit(value, amount, unit);
    total += Number(amount) * factor;
  }
  total = Math.round(total * 1000) / 1000; // 1.1 s is not 1100.0000000000002 ms.
  if (!Number.isInteger(total)) return wrong(`${quote(value)} is not a whole number of milliseconds`);
  if (total > LONGEST_DURATION_MS) return wrong(`${quote(value)} is longer than 24 days, the longest duration`);
  return right(total);
}

function wrongUnit(value: string, amount: string, unit: string): Parsed<number> {
  if (unit === "") return wrong(`${quote(value)} has no unit`, { hint: `did you mean "${amount}s" or "${amount}ms"?` });
  const meant =
    OTHER_UNITS.get(unit) ??
    OTHER_UNITS.get(unit.toLowerCase()) ??
    (UNITS.has(unit.toLowerCase()) ? unit.toLowerCase() : undefined);
  return wrong(`${quote(unit)} is not a unit of time; there are ms, s, min, h and d`, {
    hint: meant === undefined ? undefined : `did you mean "${amount}${meant}"?`,
  });
}
