import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const restart: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [
    { flags: "--hard", description: "stop first, then start: no worker is ready in between" },
    { flags: "--no-check", description: "without asking the check command of the service first" },
    timeoutOption,
  ],
  details:
    "Each worker is replaced: its successor is ready first, then it drains and gets its stop signal. If the successor fails, what ran goes on running, and the exit code is 152. A service that has a check is not touched if that fails.",
  examples: ["holdfast restart web", "holdfast restart 'web-*' --timeout 2min", "holdfast restart --hard web"],
  exitCodes: { ...actionExitCodes, 152: "rolled back: the successor failed, what ran goes on running" },
  run: (context, names) =>
    actOn(context, names, () => ({
      action: "restart",
      hard: context.options.hard === true,
      ...(context.options.check === false ? { check: false } : {}),
    })),
};
