import type { SocketAction } from "../daemon/control/api.js";
import type { CommandContext } from "./command.js";
import { exitCode } from "./exit-code.js";
import { coloured } from "./render/colour.js";
import { wroteJson } from "./render/json.js";
import { printable } from "./render/text.js";

export const socketExitCodes: Readonly<Record<number, string>> = {
  0: "done",
  1: "refused or failed",
  2: "the command line is wrong",
  4: "not permitted",
  5: "no such socket",
  151: "the supervisor cannot be reached",
};

/** Acts on one socket and tells what became of it. */
export async function onSocket(context: CommandContext, socket: string, action: SocketAction): Promise<number> {
  const outcome = await (await context.client()).actOnSocket(socket, action);
  wroteJson(context, [outcome], true);
  const line = printable(outcome.message);
  if (outcome.result === "failed") {
    context.err.write(`holdfast: ${coloured(context.err, "red", "failed")}: ${line}\n`);
    return exitCode.failed;
  }
  if (context.options.output === "table") context.out.write(`${line}\n`);
  return exitCode.done;
}
