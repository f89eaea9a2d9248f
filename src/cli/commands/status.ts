import type { ServiceView } from "../../daemon/control/api.js";
import type { CommandSpec } from "../command.js";
import { exitCode, worst } from "../exit-code.js";
import { wroteJson } from "../render/json.js";
import { renderStatus } from "../render/status.js";
import { runningWorkers } from "../render/uptime.js";
import { servicesNamed } from "../services-named.js";

const logLines = 5;

export const status: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  details:
    'A service is running if it has a worker; "holdfast is-ready" asks for more. In JSON: the service, or a list for several names or a pattern.',
  examples: ["holdfast status web", "holdfast status '*'", "holdfast status web -o json | jq .phase"],
  exitCodes: {
    0: "running",
    2: "the command line is wrong",
    3: "not running",
    4: "unknown: no such service, or not permitted to ask",
    151: "the supervisor cannot be reached",
  },
  run: async (context, patterns) => {
    const client = await context.client();
    const { services: named, single, missing } = await servicesNamed(context, client, patterns);
    const services = await Promise.all(named.map(({ name }) => client.service(name)));
    if (services.length > 0 && !wroteJson(context, services, single)) {
      const [sockets, logs] = await Promise.all([
        client.sockets(),
        Promise.all(services.map(({ name }) => client.logs(name, logLines))),
      ]);
      const blocks = services.map((service, i) =>
        renderStatus(context.out, { service, sockets, lines: logs[i]!.lines, now: Date.now() }),
      );
      context.out.write(blocks.join("\n"));
    }
    return worst([...services.map(codeOf), missing > 0 ? exitCode.unknown : exitCode.done]);
  },
};

function codeOf(service: ServiceView): number {
  return runningWorkers(service).length > 0 || isActive(service) ? exitCode.done : exitCode.not;
}

/** A task that has completed and says that it stays active. */
function isActive({ phase, ready }: ServiceView): boolean {
  return phase === "completed" && ready > 0;
}
