import { type Parsed, quote, right, wrong } from "./problem.js";

export const MODE_PATTERN = "^(0o)?[0-7]{3,4}$";

/** Permission bits from `"0660"`. A TOML or YAML number that is written `0o660` arrives here as that text. */
export function parseMode(value: unknown): Parsed<number> {
  if (typeof value === "number") {
    return wrong(`expected permission bits in octal such as "0660", found the number ${value}`, {
      code: "wrong-type",
      hint: /^[24567][024567]{2}$/.test(String(value))
        ? `did you mean "0${value}"?`
        : 'write the octal digits as a string, as in "0660"',
    });
  }
  if (typeof value !== "string")
    return wrong('expected permission bits in octal such as "0660"', { code: "wrong-type" });
  const digits = /^(?:0o)?([0-7]{3,4})$/.exec(value)?.[1];
  if (digits === undefined) return wrong(`expected permission bits in octal such as "0660", found ${quote(value)}`);
  return right(Number.parseInt(digits, 8));
}
