import type { CommandSpec } from "../command.js";
import { onSocket, socketExitCodes } from "../on-socket.js";

export const resume: CommandSpec = {
  operands: [{ flags: "<socket>", description: "a socket" }],
  details: "Ends a pause: workers accept again, what waits in the queue first.",
  examples: ["holdfast resume web"],
  exitCodes: socketExitCodes,
  run: (context, [socket]) => onSocket(context, socket!, { action: "resume" }),
};
