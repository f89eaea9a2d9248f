import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";
import { matchNames } from "../names.js";

interface Wish {
  readonly pattern: string;
  readonly workers: number;
}

export const scale: CommandSpec = {
  operands: [
    {
      flags: "<name=workers...>",
      description: "services, also as patterns, each with its number of workers, 1 to 256",
    },
  ],
  options: [timeoutOption],
  details:
    "Holds until holdfast itself is started again; the configuration is not changed. Answers once so many workers are ready, or those that are too many have gone.",
  examples: ["holdfast scale web=4", "holdfast scale web=8 'job-*=2'"],
  exitCodes: actionExitCodes,
  run: async (context, operands) => {
    const wishes = operands.map(parseWish);
    return actOn(
      context,
      wishes.map(({ pattern }) => pattern),
      (service) => {
        // The last one that names it, as with any option that is given twice.
        const wish = wishes.findLast(({ pattern }) => matchNames([pattern], [service]).found.length > 0);
        return { action: "scale", workers: wish?.workers ?? service.instances };
      },
    );
  },
};

function parseWish(operand: string): Wish {
  const match = /^(.+)=(\d+)$/.exec(operand);
  const workers = Number(match?.[2]);
  if (match === null) throw new Failure(exitCode.usage, `"${operand}" is not NAME=WORKERS, for example web=4`);
  if (workers < 1 || workers > 256) {
    const hint = workers === 0 ? `; "holdfast stop ${match[1]}" stops all of them` : "";
    throw new Failure(exitCode.usage, `"${operand}": a service has 1 to 256 workers${hint}`);
  }
  return { pattern: match[1]!, workers };
}
