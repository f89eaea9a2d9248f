import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const reset: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [timeoutOption],
  details:
    "Clears the count of failures, backoff and the start limit; a service that is held back by them starts at once.",
  examples: ["holdfast reset web", "holdfast reset '*'"],
  exitCodes: actionExitCodes,
  run: (context, names) => actOn(context, names, () => ({ action: "reset" })),
};
