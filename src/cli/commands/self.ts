import { resolve } from "node:path";
import type { CommandContext, CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";
import { coloured } from "../render/colour.js";
import { wroteJson } from "../render/json.js";
import { printable } from "../render/text.js";
import { relativeTime } from "../render/uptime.js";

export const self: CommandSpec = {
  operands: [{ flags: "<what>", description: "status, reexec" }],
  options: [
    {
      flags: "--to <path>",
      description: "with reexec: the keeper's new program; what lies where its own lies unless said",
    },
  ],
  details:
    "status shows version, pids, how often the keeper had to start the supervisor and why, how often the keeper was re-executed, the configuration files and the counters. reexec has the keeper become its program anew, with the same pid, sockets and workers: for a new version of it. The new program is tried first; one that cannot take over is refused, and nothing has changed.",
  examples: [
    "holdfast self status",
    "holdfast self status -o json | jq .pid",
    "holdfast self reexec",
    "holdfast self reexec --to /opt/holdfast-2/build/Release/holdfast-keeper",
  ],
  exitCodes: {
    0: "it runs; it was re-executed",
    1: "reexec was refused; nothing has changed",
    2: "the command line is wrong",
    4: "not permitted",
    151: "the supervisor cannot be reached",
  },
  run: async (context, [what]) => {
    if (what === "upgrade") {
      throw new Failure(
        exitCode.usage,
        'self upgrade comes with a later version; if only the supervisor is ended (its pid is in "holdfast self status"), the keeper starts the program that is installed by then, and "holdfast self reexec" does the same for the keeper',
      );
    }
    if (what === "reexec") return reExec(context);
    if (what !== "status") throw new Failure(exitCode.usage, `self knows "status" and "reexec", not "${what}"`);
    if (context.options.to !== undefined) throw new Failure(exitCode.usage, "--to goes with reexec");
    return status(context);
  },
};

async function reExec(context: CommandContext): Promise<number> {
  const { to } = context.options;
  const client = await context.client();
  context.onInterrupt("the keeper goes on with it");
  const view = await client.reExec(to === undefined ? undefined : resolve(context.cwd, to));
  context.onInterrupt(undefined);
  wroteJson(context, [view], true);
  const line = printable(view.message);
  if (view.result === "failed") {
    context.err.write(`holdfast: ${coloured(context.err, "red", "failed")}: ${line}\n`);
    return exitCode.failed;
  }
  if (context.options.output === "table") context.out.write(`${line}\n`);
  return exitCode.done;
}

async function status(context: CommandContext): Promise<number> {
  const view = await (await context.client()).supervisor();
  if (wroteJson(context, [view], true)) return exitCode.done;
  const since = (at: string): string => `${relativeTime(at, Date.now())} (${at})`;
  const { startedAt, reExecs, reExecutedAt } = view.keeper;
  const facts: [string, string][] = [
    ["version", view.version],
    ["supervisor", `pid ${view.pid}, started ${since(view.startedAt)}`],
    ["keeper", `pid ${view.keeperPid}, started ${since(startedAt)}`],
    ["re-execs", reExecutedAt === undefined ? "" : `${reExecs}, the last one ${since(reExecutedAt)}`],
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
}
