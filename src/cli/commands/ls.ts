import type { CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { matchNames } from "../names.js";
import { renderJson } from "../render/json.js";
import { renderServices } from "../render/service-table.js";
import { renderSockets } from "../render/socket-table.js";

export const ls: CommandSpec = {
  operands: [{ flags: "[name...]", description: "only these services and their sockets, also as patterns: 'web-*'" }],
  details:
    "READY is how many workers are ready, of how many that are wanted. QUEUE is how many connections wait now. In JSON: {services, sockets}; in JSON lines: one {service} or {socket} a line.",
  examples: ["holdfast ls", "holdfast ls 'web-*'", "holdfast ls -o json | jq -r '.services[].name'"],
  exitCodes: {
    0: "listed",
    2: "the command line is wrong",
    4: "not permitted",
    5: "no such service",
    151: "the supervisor cannot be reached",
  },
  run: async (context, patterns) => {
    const client = await context.client();
    const [allServices, allSockets] = await Promise.all([client.services(), client.sockets()]);
    const { found, missing } =
      patterns.length === 0 ? { found: allServices, missing: [] } : matchNames(patterns, allServices);
    for (const { message } of missing) context.err.write(`holdfast: ${message}\n`);
    const wanted = new Set(found.flatMap(({ sockets }) => sockets));
    const sockets = patterns.length === 0 ? allSockets : allSockets.filter(({ name }) => wanted.has(name));
    const { out, options } = context;
    if (options.output !== "table") {
      const lines = [...found.map((service) => ({ service })), ...sockets.map((socket) => ({ socket }))];
      out.write(renderJson(options.output, { services: found, sockets }, lines));
    } else {
      if (found.length > 0) out.write(renderServices(out, found, Date.now()));
      else if (missing.length === 0) context.err.write("holdfast: no service is configured\n");
      if (sockets.length > 0) out.write(`${found.length > 0 ? "\n" : ""}${renderSockets(out, sockets)}`);
    }
    return missing.length > 0 ? exitCode.noSuchService : exitCode.done;
  },
};
