import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const reload: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [timeoutOption],
  details:
    "Sends the reload signal of the service to its workers, or runs its reload command for each; the processes stay the same. Where ready.when is notify, and where it is auto and the worker has notified, it waits until each has said RELOADING=1 and then READY=1, for at most reload.timeout.",
  examples: ["holdfast reload web"],
  exitCodes: actionExitCodes,
  run: (context, names) => actOn(context, names, () => ({ action: "reload" })),
};
