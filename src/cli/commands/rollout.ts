import type { Action } from "../../daemon/control/api.js";
import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import { type CommandContext, type CommandSpec, InvalidOption } from "../command.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";

export const rollout: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [
    {
      flags: "--canary <percent>",
      description: "one new worker gets so many percent of the new connections: 5%",
      parse: parsePercent,
    },
    { flags: "--promote", description: "the canary is good: replace the other workers as well" },
    { flags: "--abort", description: "the canary is not good: send it away" },
    timeoutOption,
  ],
  details:
    'Tries a new version on a share of the new connections. It needs a socket with distribution = "steered". With none of the three it is a restart. A second --canary changes the share; restart, stop and apply end a canary.',
  examples: ["holdfast rollout web --canary 5%", "holdfast rollout web --promote", "holdfast rollout web --abort"],
  exitCodes: { ...actionExitCodes, 152: "rolled back: the successor failed, what ran goes on running" },
  run: (context, names) => {
    const action = actionOf(context);
    return actOn(context, names, () => action);
  },
};

function actionOf({ options }: CommandContext): Action {
  const asked = [options.canary !== undefined, options.promote === true, options.abort === true].filter(Boolean).length;
  if (asked > 1) throw new Failure(exitCode.usage, "--canary, --promote and --abort exclude one another");
  if (options.canary !== undefined) return { action: "canary", percent: options.canary };
  if (options.promote === true) return { action: "promote" };
  if (options.abort === true) return { action: "abort" };
  return { action: "restart", hard: false };
}

function parsePercent(text: string): number {
  const percent = Number(/^(\d{1,2})%?$/.exec(text)?.[1]);
  if (percent >= 1) return percent;
  throw new InvalidOption("A share is 1% to 99%.");
}
