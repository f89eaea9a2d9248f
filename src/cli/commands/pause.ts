import { type CommandSpec, InvalidOption } from "../command.js";
import { parseDuration } from "../duration.js";
import { onSocket, socketExitCodes } from "../on-socket.js";

const LONGEST_MS = 3_600_000;
const DEFAULT = "30s";

export const pause: CommandSpec = {
  operands: [{ flags: "<socket>", description: "a socket" }],
  options: [
    {
      flags: "--max <time>",
      description: "it goes on by itself after so long: 1ms to 1h",
      parse: parsePause,
      default: parseDuration(DEFAULT),
    },
  ],
  details:
    "Nobody accepts from the socket: new connections wait in the kernel's queue, those that are open go on. Nothing that would accept is started meanwhile. It is refused where a worker waits in a call that it cannot be kept from, such as accept(2); the message says which.",
  examples: ["holdfast pause web", "holdfast pause web --max 5s"],
  exitCodes: socketExitCodes,
  run: (context, [socket]) => {
    const maxMs = context.options.max ?? parseDuration(DEFAULT);
    return onSocket(context, socket!, { action: "pause", maxMs });
  },
};

function parsePause(text: string): number {
  const ms = parseDuration(text);
  if (ms >= 1 && ms <= LONGEST_MS) return ms;
  throw new InvalidOption("A pause lasts 1ms to 1h.");
}
