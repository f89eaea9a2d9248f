import type { CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";
import { wroteJson } from "../render/json.js";
import { printable } from "../render/text.js";
import { relativeTime } from "../render/uptime.js";

export const self: CommandSpec = {
  operands: [{ flags: "<what>", description: "status" }],
  details:
    "Shows version, pids, how often the keeper had to start the supervisor and why, the configuration files and the counters.",
  examples: ["holdfast self status", "holdfast self status -o json | jq .pid"],
  exitCodes: {
    0: "it runs",
    2: "the command line is wrong",
    4: "not permitted",
    151: "the supervisor cannot be reached",
  },
  run: async (context, [what]) => {
    if (what === "upgrade") {
      throw new Failure(
        exitCode.usage,
        'self upgrade comes with a later version; if only the supervisor is ended (its pid is in "holdfast self status"), the keeper starts the program that is installed by then',
      );
    }
    if (what !== "status") throw new Failure(exitCode.usage, `self knows "status", not "${what}"`);
    const view = await (await context.client()).supervisor();
    if (wroteJson(context, [view], true)) return exitCode.done;
    const facts: [string, string][] = [
      ["version", view.version],
      ["supervisor", `pid ${view.pid}, started ${relativeTime(view.startedAt, Date.now())} (${view.startedAt})`],
      ["keeper", `pid ${view.keeperPid}`],
      ["keeper killed", view.keeperDeaths === undefined ? "" : `${view.keeperDeaths}×, last: ${view.keeperDeath}`],
      ["starts", `${view.starts}${view.previousEnd === undefined ? "" : ` (the one before: ${view.previousEnd})`}`],
      ["adopted in", view.adoptedInMs === undefined ? "" : `${Math.round(view.adoptedInMs)} ms`],
      ["configuration", view.configFiles.join(", ")],
      ["control", view.control],
      ...Object.entries(view.counters).map(([name, value]): [string, string] => [name, String(value)]),
    ];
    const shown = facts.filter(([, value]) => value !== "");
    const width = Math.max(...shown.map(([name]) => name.length));
    context.out.write(shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}\n`).join(""));
    return exitCode.done;
  },
};
