import { type Parsed, quote, right, wrong } from "./problem.js";

const UNITS = new Map([
  ["", 1],
  ["B", 1],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
  ["TiB", 1024 ** 4],
]);

export const SIZE_PATTERN = "^\\s*\\d+(\\.\\d+)?\\s*(B|KiB|MiB|GiB|TiB)?\\s*$";

const FORM = 'a size such as "64KiB", "20MiB" or "1GiB"';

/** Bytes from `"20MiB"`, or from a plain number of bytes. */
export function parseSize(value: unknown): Parsed<number> {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value) && value >= 0) return right(value);
    return wrong(`expected ${FORM}, found the number ${value}`);
  }
  if (typeof value !== "string") return wrong(`expected ${FORM}`, { code: "wrong-type" });
  const [, amount, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(value) ?? [];
  if (amount === undefined) return wrong(`expected ${FORM}, found ${quote(value)}`);
  const factor = UNITS.get(unit);
  if (factor === undefined) {
    const letter = /^([kmgt])(i?b)?$/i.exec(unit)?.[1]?.toUpperCase();
    return wrong(`${quote(unit)} is not a unit of size; there are B, KiB, MiB, GiB and TiB`, {
      hint: letter === undefined ? undefined : `did you mean "${amount}${letter}iB"?`,
    });
  }
  const bytes = Number(amount) * factor;
  if (!Number.isSafeInteger(bytes)) return wrong(`${quote(value)} is not a whole number of bytes below 8 PiB`);
  return right(bytes);
}
