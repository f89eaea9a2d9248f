import { z } from "zod";
import { optional } from "./key.js";
import { leaf, text, wrongType } from "./leaf.js";
import { didYouMean } from "./nearest.js";
import { quote, right, wrong } from "./problem.js";

// The keys of a service that name other services.

export const UNTIL = ["started", "ready", "completed"] as const;
export type Until = (typeof UNTIL)[number];

/** As written: a list says nothing of what is waited for. */
export type AfterInput = ReadonlyMap<string, Until | undefined>;

const FORM = 'a table such as { migrate = "completed", cache = "ready" }, or a list of services';

const after = leaf<AfterInput>(
  (value) => {
    const names = typeof value === "string" ? [value] : value;
    if (Array.isArray(names)) {
      const odd = names.find((name) => typeof name !== "string" || name === "");
      if (odd !== undefined) return wrongType("the name of a service", odd);
      return right(new Map(names.map((name) => [name as string, undefined])));
    }
    if (typeof names !== "object" || names === null) return wrongType(FORM, value);
    const found = new Map<string, Until>();
    for (const [name, word] of Object.entries(names)) {
      const until = UNTIL.find((one) => one === word);
      if (until === undefined) {
        const expected = `${quote(name)}: expected one of ${UNTIL.map((one) => `"${one}"`).join(", ")}`;
        if (typeof word !== "string") return wrongType(expected, word);
        return wrong(`${expected}, found ${quote(word)}`, { hint: didYouMean(word, UNTIL) });
      }
      found.set(name, until);
    }
    return right(found);
  },
  {
    anyOf: [
      { type: "string" },
      { type: "array", items: { type: "string" } },
      { type: "object", additionalProperties: { enum: UNTIL } },
    ],
  },
  "table of `started`, `ready`, `completed`; or list",
);

const names = () => z.array(text("the name of a service"));

export const orderKeys = {
  after: optional(after, {
    is: "Services that come first: this one starts once they are `started` (executed), `ready`, or, of a task, `completed`. A list stands for `ready`, of a task `completed`. It counts only for services that are wanted; what is waited for to be `completed` is waited for until it has succeeded.",
    otherwise: "it starts at once",
    example: '{ migrate = "completed", cache = "ready" }',
  }),
  before: optional(names(), {
    is: "The same, said from the other side: these start after this one.",
    otherwise: "none",
    example: '["web"]',
  }),
  requires: optional(names(), {
    is: "Services that it cannot do without: they are started with it, it starts after them (as a list in `after` would say, unless `after` says otherwise), it fails to start if they do, and it stops when one of them is stopped.",
    otherwise: "none",
    example: '["database"]',
  }),
  wants: optional(names(), {
    is: "Services that are started with it, whatever becomes of them.",
    otherwise: "none",
    example: '["cache"]',
  }),
  binds_to: optional(names(), {
    is: "As `requires`, and its workers also end when one of these is not there any more for whatever reason; it starts again when that is back.",
    otherwise: "none",
    example: '["tunnel"]',
  }),
  part_of: optional(names(), {
    is: "It is stopped and restarted whenever one of these is.",
    otherwise: "none",
    example: '["suite"]',
  }),
  conflicts: optional(names(), {
    is: "Services that cannot run beside it: to start one is to stop the other first.",
    otherwise: "none",
    example: '["maintenance"]',
  }),
  on_failure: optional(names(), {
    is: "Services that are started when it has failed: nothing of it runs, and its last worker has failed and is not started again, or has reached the start limit.",
    otherwise: "none",
    example: '["tell-somebody"]',
  }),
};
