import { basename } from "node:path";
import { parseArgs } from "node:util";

/** What a program was called with is wrong: a sentence for its user. */
export class WrongOption extends Error {}

/**
 * An option whose value is a number, for `parseOptions`. `default`: undefined without one. `whole`: false allows fractions. `list`: several of
 * them, with commas between.
 *
 * @param {{min?: number, max?: number, default?: number | number[], whole?: boolean, list?: boolean}} range
 */
export function number({ min = 0, max = Number.MAX_SAFE_INTEGER, whole = true, list = false, ...more } = {}) {
  return { type: "number", min, max, whole, list, ...more };
}

/**
 * `parseArgs` of node:util with options made by `number` beside those that it knows.
 *
 * @throws {WrongOption} for whatever cannot be taken, and what would be
 */
export function parseOptions({ args, options, allowPositionals = false }) {
  const numbers = Object.entries(options).filter(([, { type }]) => type === "number");
  const isNumber = (arg) => arg.startsWith("--") && options[arg.slice(2)]?.type === "number";
  // A number may be negative, which `parseArgs` takes for an option.
  const joined = [];
  for (let index = 0; index < args.length; index += 1) {
    if (isNumber(args[index]) && args[index + 1] !== undefined) joined.push(`${args[index]}=${args[++index]}`);
    else joined.push(args[index]);
  }
  const texts = Object.fromEntries(numbers.map(([name]) => [name, { type: "string" }]));
  let parsed;
  try {
    parsed = parseArgs({ args: joined, options: { ...options, ...texts }, allowPositionals });
  } catch (error) {
    throw new WrongOption(error.message.split("\n")[0], { cause: error });
  }
  const values = { ...parsed.values };
  for (const [name, one] of numbers) {
    const text = values[name];
    if (text !== undefined)
      values[name] = one.list ? text.split(",").map((part) => parse(name, part, one)) : parse(name, text, one);
    else if (one.default !== undefined) values[name] = one.default;
  }
  return { values, positionals: parsed.positionals };
}

/** The same of this process's own arguments: it ends with 2, and one line that says why, when they are wrong. */
export function readOptions(input) {
  try {
    return parseOptions({ args: process.argv.slice(2), ...input });
  } catch (error) {
    if (!(error instanceof WrongOption)) throw error;
    return refuse(error.message);
  }
}

/** Ends this process: it was called with something wrong. */
export function refuse(sentence) {
  process.stderr.write(`${basename(process.argv[1])}: ${sentence}\n`);
  process.exit(2);
}

function parse(name, text, { min, max, whole }) {
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max && (!whole || Number.isSafeInteger(value))) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new WrongOption(`--${name} takes a ${whole ? "whole " : ""}number ${range}, not ${JSON.stringify(text)}`);
}
