import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const reload: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [timeoutOption],
  details: "Sends the reload signal of the service to its workers; the processes stay the same.",
  examples: ["holdfast reload web"],
  exitCodes: actionExitCodes,
  run: (context, names) => actOn(context, names, () => ({ action: "reload" })),
};
