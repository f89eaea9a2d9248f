import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const stop: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [timeoutOption],
  details:
    "Answers once no process of the services is left. Their sockets stay bound; they stay stopped until they are started.",
  examples: ["holdfast stop web", "holdfast stop '*'"],
  exitCodes: actionExitCodes,
  run: (context, names) => actOn(context, names, () => ({ action: "stop" })),
};
