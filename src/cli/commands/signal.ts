import { constants } from "node:os";
import { parseSignal } from "../../daemon/config/signal-name.js";
import { actionExitCodes, actOn } from "../act.js";
import type { CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";

export const signal: CommandSpec = {
  operands: [
    { flags: "<name>", description: "a service, also as a pattern: 'web-*'" },
    { flags: "<signal>", description: "HUP, SIGHUP or a number" },
  ],
  options: [{ flags: "--left", description: "to what earlier workers have left behind, instead of the workers" }],
  details:
    'The main process of each worker gets the signal, and nothing else changes: a worker that ends of it is started again as after a crash. What is left behind is there with stop.kill = "process" alone; each of its processes gets the signal.',
  examples: ["holdfast signal web USR2", "holdfast signal 'web-*' SIGHUP", "holdfast signal ssh TERM --left"],
  exitCodes: actionExitCodes,
  run: async (context, [name, text]) => {
    const signalName = toSignalName(text!);
    const to = context.options.left === true ? { to: "left-behind" as const } : {};
    return actOn(context, [name!], () => ({ action: "signal", signal: signalName, ...to }));
  },
};

function toSignalName(text: string): string {
  if (/^\d+$/.test(text)) {
    const name = Object.entries(constants.signals).find(([, number]) => number === Number(text))?.[0];
    if (name === undefined) throw new Failure(exitCode.usage, `there is no signal ${text}`);
    return name;
  }
  const parsed = parseSignal(text);
  if (parsed.ok) return parsed.value;
  const { message, hint } = parsed.wrong;
  throw new Failure(exitCode.usage, hint === undefined ? message : `${message}; ${hint}`);
}
