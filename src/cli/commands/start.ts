import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const start: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [timeoutOption],
  details: "Answers once the services are ready. An operator's start is never held back by backoff or a start limit.",
  examples: ["holdfast start web", "holdfast start 'web-*' --timeout 10s"],
  exitCodes: actionExitCodes,
  run: (context, names) => actOn(context, names, () => ({ action: "start" })),
};
