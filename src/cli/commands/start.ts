import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const start: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [timeoutOption],
  details:
    "Answers once the services are ready, and tasks have completed. A task that has completed runs again, unless it counts as active (remain_after_exit). What they require or want is started as well. An operator's start is never held back by backoff or a start limit, but it waits for what comes first; if that has failed, it says so at once.",
  examples: ["holdfast start web", "holdfast start 'web-*' --timeout 10s"],
  exitCodes: actionExitCodes,
  run: (context, names) => actOn(context, names, () => ({ action: "start" })),
};
