import { z } from "zod";
import { CAPABILITY_NAMES, type Capability, parseCapability } from "./capability.js";
import { parseDirectoryName } from "./directory-name.js";
import { optional, withDefault } from "./key.js";
import { annotate, choice, fileMode, flag, integer, leaf } from "./leaf.js";
import { right } from "./problem.js";
import { parseProcessors } from "./processors.js";

const capability = leaf<Capability>(parseCapability, { enum: CAPABILITY_NAMES }, "capability");
const bound = leaf<Capability | "all">(
  (value) => (value === "all" ? right("all") : parseCapability(value)),
  { enum: ["all", ...CAPABILITY_NAMES] },
  "capability",
);
const processors = leaf(
  parseProcessors,
  {
    anyOf: [
      { type: "integer", minimum: 0 },
      { type: "string", pattern: "^[0-9, -]+$" },
    ],
  },
  "processors",
);

/** What a worker may do, and how its turn comes: keys of a service. */
export const privilegeKeys = {
  capabilities: optional(z.array(capability), {
    is: "The rights of root that workers have, and no others: capabilities(7) without CAP_. They outlive the start of any program (they are ambient). `[]` takes the last one, also from root.",
    otherwise: "all for root, none for another user",
    example: '["net_bind_service"]',
  }),
  capability_bounding: optional(z.array(bound), {
    is: 'What a worker and all that it starts can have at most, by set-user-ID programs or capabilities of a file. `"all"` leaves that as it is.',
    otherwise: "those in `capabilities`; without that key as it is",
    example: '["net_bind_service", "setuid"]',
  }),
  cpu_affinity: optional(z.array(processors), {
    is: "The processors that workers run on: numbers, and ranges as text.",
    otherwise: "those of the supervisor",
    example: '[0, "2-5"]',
  }),
  io_class: optional(choice(["realtime", "best-effort", "idle"]), {
    is: "How their turn comes at disks, where the disk's scheduler minds it. `realtime` needs root.",
    otherwise: "`best-effort` with `io_priority`, else the supervisor's",
    example: '"idle"',
  }),
  io_priority: optional(integer(0, 7), {
    is: "The level within `io_class`: 0 is served first. `idle` has none.",
    otherwise: "4, if there is an `io_class`",
    example: "7",
  }),
  scheduling: optional(choice(["other", "batch", "idle", "fifo", "round-robin"]), {
    is: "How their turn comes at a processor: sched(7). `fifo` and `round-robin` go before all others and need root.",
    otherwise: "the supervisor's",
    example: '"batch"',
  }),
  scheduling_priority: optional(integer(1, 99), {
    is: "Among `fifo` and `round-robin`: 99 goes first.",
    otherwise: "1",
    example: "10",
  }),
};

const names = z.array(leaf(parseDirectoryName, { type: "string", pattern: "^[^/].*$" }, "relative path"));

function directory<S extends z.ZodRawShape>(more: S) {
  const schema = z.strictObject({
    names: withDefault(names, [], {
      is: "Paths below the system's folder for such things.",
      example: '["web"]',
    }),
    mode: withDefault(fileMode(0o7777), "0755", {
      is: "Their permission bits, in octal.",
      example: '"0700"',
    }),
    ...more,
  });
  return annotate(schema, { shorthand: "names" });
}

const made = "made before a start, and given to `user`. A string or list stands for `names`";

/** Folders of a service. */
export const directoryKeys = {
  runtime_directory: optional(
    directory({
      preserve: withDefault(flag(), false, { is: "They stay when the service stops.", example: "true" }),
    }),
    {
      is: `Folders in /run (a user's supervisor: in XDG_RUNTIME_DIR), ${made}, and removed when the service stops. Workers find their paths, separated by colons, in RUNTIME_DIRECTORY.`,
      otherwise: "none",
      example: '"web"',
    },
  ),
  state_directory: optional(directory({}), {
    is: `Folders in /var/lib (a user's: in XDG_STATE_HOME, else ~/.local/state), ${made}; STATE_DIRECTORY.`,
    otherwise: "none",
    example: '{ names = ["web"], mode = "0700" }',
  }),
  cache_directory: optional(directory({}), {
    is: `Folders in /var/cache (a user's: in XDG_CACHE_HOME, else ~/.cache), ${made}; CACHE_DIRECTORY.`,
    otherwise: "none",
    example: '["web", "web/images"]',
  }),
  logs_directory: optional(directory({}), {
    is: `Folders in /var/log (a user's: in \`log\` below XDG_STATE_HOME), ${made}; LOGS_DIRECTORY.`,
    otherwise: "none",
    example: '"web"',
  }),
  configuration_directory: optional(directory({}), {
    is: "Folders in /etc (a user's: in XDG_CONFIG_HOME, else ~/.config), made before a start if they are not there; they stay the supervisor's. A string or list stands for `names`; CONFIGURATION_DIRECTORY.",
    otherwise: "none",
    example: '"web"',
  }),
};
