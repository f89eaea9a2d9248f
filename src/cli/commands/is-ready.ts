import type { CommandSpec } from "../command.js";
import { exitCode, worst } from "../exit-code.js";
import { servicesNamed } from "../services-named.js";

export const isReady: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  details:
    "A service is ready if as many workers are ready as are wanted, also while it is being restarted. Prints nothing but which service is not ready, on stderr. A service that waits for its first connection has no worker, so it is not ready.",
  examples: ["holdfast is-ready web && echo yes", "until holdfast is-ready '*'; do sleep 1; done"],
  exitCodes: {
    0: "all are ready",
    2: "the command line is wrong",
    3: "not ready",
    4: "unknown: no such service, or not permitted to ask",
    151: "the supervisor cannot be reached",
  },
  run: async (context, patterns) => {
    const { services, missing } = await servicesNamed(context, await context.client(), patterns);
    const notReady = services.filter(({ ready, instances }) => ready === 0 || ready < instances);
    for (const { name, phase, ready, instances } of notReady) {
      context.err.write(`holdfast: ${name} is ${phase}: ${ready} of ${instances} ready\n`);
    }
    return worst([notReady.length > 0 ? exitCode.not : exitCode.done, missing > 0 ? exitCode.unknown : exitCode.done]);
  },
};
