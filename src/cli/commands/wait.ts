import type { WaitFor } from "../../daemon/control/api.js";
import { actionExitCodes } from "../act.js";
import type { CommandSpec } from "../command.js";
import { formatDuration, parseDuration } from "../duration.js";
import { exitCode, worst } from "../exit-code.js";
import { wroteJson } from "../render/json.js";
import { servicesNamed } from "../services-named.js";

const states: readonly WaitFor[] = ["ready", "running", "stopped"];

export const wait: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [
    { flags: "--for <state>", description: "what to wait for", choices: states, default: "ready" },
    { flags: "--timeout <time>", description: "for how long: 500ms, 30s, 5min", parse: parseDuration, default: 30_000 },
  ],
  details: "Waits until all of the services have reached the state. The time goes on while the supervisor is replaced.",
  examples: ["holdfast wait web --for ready --timeout 30s", "holdfast wait '*' --for stopped --timeout 1min"],
  exitCodes: {
    0: "all have reached it",
    2: actionExitCodes[2]!,
    4: actionExitCodes[4]!,
    5: actionExitCodes[5]!,
    150: "timed out",
    151: actionExitCodes[151]!,
  },
  run: async (context, patterns) => {
    const client = await context.client();
    const { for: what = "ready", timeout = 30_000 } = context.options;
    const { services, single, missing } = await servicesNamed(context, client, patterns);
    const results = await Promise.all(
      services.map(async ({ name }) => ({
        service: name,
        for: what,
        result: await client.waitFor(name, what, timeout),
      })),
    );
    const late = results.filter(({ result }) => result === "timed-out");
    for (const { service } of late) {
      context.err.write(
        `holdfast: ${service} is not ${what} after ${formatDuration(timeout)}; "holdfast why ${service}" tells more\n`,
      );
    }
    if (results.length > 0) wroteJson(context, results, single);
    return worst([
      late.length > 0 ? exitCode.timedOut : exitCode.done,
      missing > 0 ? exitCode.noSuchService : exitCode.done,
    ]);
  },
};
