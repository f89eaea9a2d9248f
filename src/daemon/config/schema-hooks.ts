import { z } from "zod";
import { optional, required, withDefault } from "./key.js";
import { annotate, duration, flag } from "./leaf.js";
import { command } from "./schema-command.js";

// Commands of a service that run beside its workers at certain moments.

const hook = annotate(
  z.strictObject({
    command: required(command, { is: "The program and its arguments. No shell reads it.", example: '["bin/migrate"]' }),
    may_fail: withDefault(flag(), false, { is: "Its failure changes nothing.", example: "true" }),
    timeout: withDefault(duration({ positive: true }), "30s", {
      is: "After so long it is killed, with all that it started, and has failed.",
      example: '"30s"',
    }),
  }),
  { shorthand: "command", word: "command, or table of `command`, `may_fail`, `timeout`" },
);

export const hooksSchema = z.strictObject({
  before_start: optional(z.array(hook), {
    is: "Before each worker starts; during a rolling restart the one before serves meanwhile. If one fails the start has failed.",
    otherwise: "none",
    example: '["bin/prepare", { command = ["bin/warm", "--all"], may_fail = true, timeout = "5s" }]',
  }),
  after_start: optional(z.array(hook), {
    is: "When a worker has become ready; it counts as ready once they are done. If one fails the worker is stopped, and its start has failed.",
    otherwise: "none",
    example: '["bin/announce"]',
  }),
  before_stop: optional(z.array(hook), {
    is: "Before a worker that has been ready gets its stop signal, after its drain. A failure is logged.",
    otherwise: "none",
    example: '["bin/withdraw"]',
  }),
  after_stop: optional(z.array(hook), {
    is: "When nothing of a worker is left, whatever ended it, also if it could not be started. A failure is logged.",
    otherwise: "none",
    example: '["bin/clean"]',
  }),
});

export type HooksInput = z.output<typeof hooksSchema>;

export const checkSchema = annotate(
  z.strictObject({
    command: required(command, { is: "The program and its arguments. No shell reads it.", example: '["nginx", "-t"]' }),
    timeout: withDefault(duration({ positive: true }), "30s", {
      is: "After so long it is killed, and has failed.",
      example: '"30s"',
    }),
  }),
  { shorthand: "command" },
);

export type CheckInput = z.output<typeof checkSchema>;
