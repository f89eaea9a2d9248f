import type { CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { explain } from "../explain.js";
import { wroteJson } from "../render/json.js";
import { servicesNamed } from "../services-named.js";

export const why: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  details:
    "Tells which step failed, with the system's error and the last lines of the log, and what is tried next and when.",
  examples: ["holdfast why web", "holdfast why web -o json | jq .lastFailure"],
  exitCodes: {
    0: "explained",
    2: "the command line is wrong",
    4: "not permitted",
    5: "no such service",
    151: "the supervisor cannot be reached",
  },
  run: async (context, patterns) => {
    const { services, single, missing } = await servicesNamed(context, await context.client(), patterns);
    const now = Date.now();
    const answers = services.map((service) => {
      const { name, phase, desired, lastFailure, next, nextStartAt } = service;
      return { name, phase, desired, lastFailure, next, nextStartAt, explanation: explain(service, now) };
    });
    if (services.length > 0 && !wroteJson(context, answers, single)) {
      context.out.write(answers.map(({ explanation }) => `${explanation.join("\n")}\n`).join("\n"));
    }
    return missing > 0 ? exitCode.noSuchService : exitCode.done;
  },
};
