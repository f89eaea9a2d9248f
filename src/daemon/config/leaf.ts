import { z } from "zod";
import type { ExitStatus } from "./config.js";
import { DURATION_PATTERN, parseDuration } from "./duration.js";
import { MODE_PATTERN, parseMode } from "./file-mode.js";
import { didYouMean } from "./nearest.js";
import { type Parsed, quote, right, type Wrong, wrong } from "./problem.js";
import { parseSignal, signalNumberOf } from "./signal-name.js";
import { parseSize, SIZE_PATTERN } from "./size.js";
import { DateText } from "./tree.js";

type JsonSchema = Readonly<Record<string, unknown>>;

/** What zod does not know about a schema of ours. */
export interface Note {
  /** How an editor sees a value that our own code parses. */
  readonly json?: JsonSchema;
  /** How the reference calls such a value, in Markdown. */
  readonly word?: string;
  /** A table that may be written as the value of this one key: `restart = "never"`. */
  readonly shorthand?: string;
  /** It is written as a list as well, also where it stands for the table that holds it. */
  readonly list?: boolean;
  /** `0o660` is taken as its text. */
  readonly octal?: boolean;
  /** What holds where the key is missing and no constant can say it. */
  readonly otherwise?: string;
  readonly example?: string;
}

const notes = new WeakMap<z.core.$ZodType, Note>();

export function noteOf(schema: z.core.$ZodType): Note {
  return notes.get(schema) ?? {};
}

export function annotate<S extends z.core.$ZodType>(schema: S, note: Note): S {
  notes.set(schema, { ...notes.get(schema), ...note });
  return schema;
}

/** A value that `parse` reads; what it finds wrong reaches `validate` unchanged. */
export function leaf<T>(parse: (value: unknown) => Parsed<T>, json: JsonSchema, word: string): z.ZodType<T> {
  const schema = z.unknown().transform((value, context): T => {
    const parsed = value === undefined ? wrong("is missing", { code: "missing" }) : parse(value);
    if (parsed.ok) return parsed.value;
    context.addIssue({ code: "custom", message: parsed.wrong.message, params: { wrong: parsed.wrong } });
    return z.NEVER;
  });
  return annotate(schema as z.ZodType<T>, { json, word });
}

/** The finding that a leaf put into an issue. */
export function wrongOf(issue: z.core.$ZodIssue): Wrong | undefined {
  return issue.code === "custom" ? (issue.params?.wrong as Wrong | undefined) : undefined;
}

/** A value as a message names it. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return "a list";
  if (value instanceof DateText) return `the date ${value.text}`;
  return "a table";
}

export function wrongType(expected: string, value: unknown, hint?: string): ReturnType<typeof wrong> {
  return wrong(`expected ${expected}, found ${describeValue(value)}`, { code: "wrong-type", hint });
}

export function flag(): z.ZodType<boolean> {
  return leaf(
    (value) => {
      if (typeof value === "boolean") return right(value);
      const meant = /^(true|yes|on|1)$/i.test(String(value))
        ? "true"
        : /^(false|no|off|0)$/i.test(String(value))
          ? "false"
          : undefined;
      return wrongType("true or false", value, meant && `did you mean ${meant}, without quotes?`);
    },
    { type: "boolean" },
    "true or false",
  );
}

export function integer(least: number, most: number, unit = ""): z.ZodType<number> {
  const form = `a whole number from ${least} to ${most}${unit}`;
  return leaf(
    (value) => {
      if (typeof value !== "number") {
        const quoted = typeof value === "string" && /^-?\d+$/.test(value.trim());
        return wrongType(form, value, quoted ? `write ${value.trim()} without quotes` : undefined);
      }
      if (Number.isInteger(value) && value >= least && value <= most) return right(value);
      return wrong(`expected ${form}, found ${value}`);
    },
    { type: "integer", minimum: least, maximum: most },
    `integer, ${least} to ${most}`,
  );
}

export function decimal(least: number, most: number): z.ZodType<number> {
  return leaf(
    (value) => {
      if (typeof value !== "number") return wrongType(`a number from ${least} to ${most}`, value);
      if (value >= least && value <= most) return right(value);
      return wrong(`expected a number from ${least} to ${most}, found ${value}`);
    },
    { type: "number", minimum: least, maximum: most },
    `number, ${least} to ${most}`,
  );
}

export function text(what = "a string"): z.ZodType<string> {
  return leaf(
    (value) => {
      if (typeof value !== "string") return wrongType(what, value);
      return value === "" ? wrong(`expected ${what}, found an empty string`) : right(value);
    },
    { type: "string", minLength: 1 },
    "string",
  );
}

/** Absolute, or relative to the file that it stands in; not an address. */
export function path(what = "a path"): z.ZodType<string> {
  return leaf(
    (value) => {
      if (typeof value !== "string") return wrongType(what, value);
      if (value === "") return wrong(`expected ${what}, found an empty string`);
      const [, bare] = /^[a-z-]+:\/\/(.*)$/.exec(value) ?? [];
      if (bare === undefined) return right(value);
      const hint = bare === "" ? undefined : `did you mean ${quote(bare)}?`;
      return wrong(`expected ${what}, found the address ${quote(value)}`, { hint });
    },
    { type: "string", minLength: 1 },
    "string",
  );
}

/** One of a few words; `elsewhere` are words of other languages for what is written in another way here, with the hint that says how. */
export function choice<const T extends string>(
  words: readonly T[],
  elsewhere: Readonly<Record<string, string>> = {},
): z.ZodType<T> {
  const all = `${words.length > 1 ? "one of " : ""}${words.map((word) => `"${word}"`).join(", ")}`;
  return leaf(
    (value) => {
      const known = words.find((word) => word === value);
      if (known !== undefined) return right(known);
      if (typeof value !== "string") return wrongType(all, value);
      const hint = Object.hasOwn(elsewhere, value) ? elsewhere[value] : didYouMean(value, words);
      return wrong(`expected ${all}, found ${quote(value)}`, { hint });
    },
    { enum: words },
    words.map((word) => `\`"${word}"\``).join(", "),
  );
}

/** Milliseconds. */
export function duration(o: { positive?: boolean } = {}): z.ZodType<number> {
  return leaf(
    (value) => {
      const parsed = parseFound(parseDuration, value);
      return parsed.ok && o.positive && parsed.value === 0 ? wrong("expected a duration longer than 0") : parsed;
    },
    { type: "string", pattern: DURATION_PATTERN },
    "duration",
  );
}

/** Bytes. */
export function size(least: number): z.ZodType<number> {
  return leaf(
    (value) => {
      const parsed = parseFound(parseSize, value);
      return parsed.ok && parsed.value < least
        ? wrong(`expected at least ${least} bytes, found ${parsed.value}`)
        : parsed;
    },
    {
      anyOf: [
        { type: "string", pattern: SIZE_PATTERN },
        { type: "integer", minimum: least },
      ],
    },
    "size",
  );
}

export function fileMode(most: number): z.ZodType<number> {
  const schema = leaf(
    (value) => {
      const parsed = parseFound(parseMode, value);
      return parsed.ok && parsed.value > most ? wrong(`the highest value here is "0${most.toString(8)}"`) : parsed;
    },
    { type: "string", pattern: MODE_PATTERN },
    "octal mode",
  );
  return annotate(schema, { octal: true });
}

export function signal(o: { refuse: readonly string[] }): z.ZodType<string> {
  return leaf(
    (value) => {
      const parsed = parseFound(parseSignal, value);
      if (!parsed.ok || !o.refuse.includes(parsed.value)) return parsed;
      return wrong(`${parsed.value} cannot be used here: no program can handle it`);
    },
    { type: "string", examples: ["SIGTERM"] },
    "signal",
  );
}

/** How a process may end: an exit code, or a signal by name. */
export function exitStatus(): z.ZodType<ExitStatus> {
  return leaf<ExitStatus>(
    (value) => {
      if (typeof value === "number")
        return Number.isInteger(value) && value >= 0 && value <= 255
          ? right(value)
          : wrong(`${value} is no exit code: these are 0 to 255`);
      if (typeof value !== "string" || /^\d/.test(value))
        return wrongType(
          "an exit code or the name of a signal",
          value,
          /^\d+$/.test(String(value)) ? "write the code without quotes" : undefined,
        );
      const parsed = parseFound(parseSignal, value);
      return parsed.ok ? right({ signal: signalNumberOf(parsed.value) }) : parsed;
    },
    {
      anyOf: [
        { type: "integer", minimum: 0, maximum: 255 },
        { type: "string", examples: ["SIGTERM"] },
      ],
    },
    "exit code or signal",
  );
}

/** A user or group: a name, or an id as text or number. */
export function account(what: "user" | "group"): z.ZodType<string> {
  return leaf(
    (value) => {
      if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32 - 1)
        return right(String(value));
      if (typeof value !== "string") return wrongType(`the name or number of a ${what}`, value);
      // NSS names are wide open; these characters would break the files that hold them.
      return /^[^\s:/]{1,255}$/.test(value) ? right(value) : wrong(`${quote(value)} cannot be the name of a ${what}`);
    },
    { anyOf: [{ type: "string" }, { type: "integer", minimum: 0 }] },
    what,
  );
}

/** The parsers of text do not know how to name a table or a list that stands in its place. */
function parseFound<T>(parse: (value: unknown) => Parsed<T>, value: unknown): Parsed<T> {
  const parsed = parse(value);
  if (parsed.ok || typeof value === "string" || typeof value === "number") return parsed;
  return { ok: false, wrong: { ...parsed.wrong, message: `${parsed.wrong.message}, found ${describeValue(value)}` } };
}
