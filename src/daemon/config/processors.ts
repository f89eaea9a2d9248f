import { describeValue } from "./leaf.js";
import { type Parsed, quote, right, wrong } from "./problem.js";

/** The keeper takes a mask of so many bits; no Linux has more processors. */
const MOST_PROCESSORS = 8192;
const FORM = `the number of a processor, or a range such as "0-3"`;

/** One item of a list: `2`, `"0-3"`, `"0-3,8"`. */
export function parseProcessors(value: unknown): Parsed<readonly number[]> {
  if (typeof value === "number") {
    return Number.isInteger(value) && value >= 0 && value < MOST_PROCESSORS
      ? right([value])
      : wrong(`expected ${FORM}, found ${describeValue(value)}`);
  }
  if (typeof value !== "string")
    return wrong(`expected ${FORM}, found ${describeValue(value)}`, { code: "wrong-type" });
  const all: number[] = [];
  for (const part of value.split(",")) {
    const [, from, to = from] = /^\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*$/.exec(part) ?? [];
    if (from === undefined || Number(to) >= MOST_PROCESSORS)
      return wrong(`expected ${FORM}, found ${quote(part.trim())}`);
    if (Number(from) > Number(to))
      return wrong(`the range ${quote(part.trim())} ends before it begins`, { hint: `did you mean "${to}-${from}"?` });
    for (let number = Number(from); number <= Number(to); number += 1) all.push(number);
  }
  return right(all);
}
