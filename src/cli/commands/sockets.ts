import type { CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { wroteJson } from "../render/json.js";
import { renderSockets } from "../render/socket-table.js";

export const sockets: CommandSpec = {
  details:
    "STATE tells whether the keeper holds the socket; ERROR why not. QUEUE is how many connections wait now, of how many that may.",
  examples: ["holdfast sockets", "holdfast sockets -o json"],
  exitCodes: {
    0: "listed",
    2: "the command line is wrong",
    4: "not permitted",
    151: "the supervisor cannot be reached",
  },
  run: async (context) => {
    const all = await (await context.client()).sockets();
    if (wroteJson(context, all, false)) return exitCode.done;
    if (all.length > 0) context.out.write(renderSockets(context.out, all));
    else context.err.write("holdfast: no socket is configured\n");
    return exitCode.done;
  },
};
