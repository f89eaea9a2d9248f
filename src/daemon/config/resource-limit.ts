import { describeValue } from "./leaf.js";
import { didYouMean } from "./nearest.js";
import { type Parsed, quote, right, wrong } from "./problem.js";
import { parseSize } from "./size.js";

/** The names of getrlimit(2) without RLIMIT_, in lower case. */
export const LIMIT_NAMES: readonly string[] = [
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
];

export interface ResourceLimit {
  readonly soft: number | "unlimited";
  readonly hard: number | "unlimited";
}

const FORM = 'a number, a size such as "64MiB", "unlimited", or "soft:hard"';

export function parseLimitName(name: unknown): Parsed<string> {
  if (typeof name === "string" && LIMIT_NAMES.includes(name)) return right(name);
  const plain = String(name)
    .toLowerCase()
    .replace(/^(rlimit_|limit_?)/, "");
  const hint = LIMIT_NAMES.includes(plain) ? `did you mean "${plain}"?` : didYouMean(plain, LIMIT_NAMES);
  return wrong(`there is no limit ${quote(String(name))}`, {
    code: "unknown-key",
    hint: hint ?? `there are ${LIMIT_NAMES.join(", ")}`,
  });
}

/** One value sets both the soft and the hard limit. */
export function parseLimit(value: unknown): Parsed<ResourceLimit> {
  if (typeof value !== "string") return both(parseAmount(value));
  const [softText = "", hardText, ...rest] = value.split(":");
  if (rest.length > 0) return wrong(`expected ${FORM}, found ${quote(value)}`);
  const soft = parseAmount(softText.trim());
  if (!soft.ok || hardText === undefined) return both(soft);
  const hard = parseAmount(hardText.trim());
  if (!hard.ok) return hard;
  if (hard.value !== "unlimited" && (soft.value === "unlimited" || soft.value > hard.value)) {
    return wrong(`the soft limit ${soft.value} is above the hard limit ${hard.value}`, {
      hint: `did you mean "${hardText.trim()}:${softText.trim()}"?`,
    });
  }
  return right({ soft: soft.value, hard: hard.value });
}

function both(amount: Parsed<number | "unlimited">): Parsed<ResourceLimit> {
  return amount.ok ? right({ soft: amount.value, hard: amount.value }) : amount;
}

function parseAmount(value: unknown): Parsed<number | "unlimited"> {
  if (value === "unlimited" || value === "infinity") return right("unlimited");
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return right(value);
  if (typeof value === "string") {
    const size = parseSize(value);
    if (size.ok || size.wrong.hint !== undefined) return size;
  }
  if (value === -1) return wrong(`expected ${FORM}, found the number -1`, { hint: 'did you mean "unlimited"?' });
  return wrong(`expected ${FORM}, found ${describeValue(value)}`);
}
