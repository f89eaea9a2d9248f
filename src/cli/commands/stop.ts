import { actionExitCodes, actOn, timeoutOption } from "../act.js";
import type { CommandSpec } from "../command.js";

export const stop: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [timeoutOption],
  details:
    "Answers once no process of the services is left. Their sockets stay bound; they stay stopped until they are started. What requires them, is bound to them or is part of them is stopped as well, and a service ends before those that it comes after.",
  examples: ["holdfast stop web", "holdfast stop '*'"],
  exitCodes: actionExitCodes,
  run: (context, names) =>
    actOn(context, names, ({ name }, all) => {
      const beside = all.map((service) => service.name).filter((other) => other !== name);
      return { action: "stop", ...(beside.length === 0 ? {} : { beside }) };
    }),
};
