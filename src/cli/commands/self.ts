import { resolve } from "node:path";
import type { CommandContext, CommandSpec } from "../command.js";
import { parseDuration } from "../duration.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";
import { coloured } from "../render/colour.js";
import { wroteJson } from "../render/json.js";
import { printable } from "../render/text.js";
import { relativeTime } from "../render/uptime.js";
import { UPGRADE_TIMEOUT_MS, upgrade } from "../upgrade.js";

export const self: CommandSpec = {
  operands: [{ flags: "<what>", description: "status, upgrade, reexec" }],
  options: [
    {
      flags: "--to <path>",
      description:
        "with upgrade: the directory of another installation; with reexec: the keeper's new program. What lies now where the one that runs was started from, unless said",
    },
    {
      flags: "--timeout <time>",
      description: `with upgrade: how long the new version may take (${UPGRADE_TIMEOUT_MS / 1000}s unless said)`,
      parse: parseDuration,
    },
  ],
  details:
    "status shows version, pids, how often the keeper had to start the supervisor and why, how often the keeper was re-executed, the configuration files and the counters. upgrade has another version of the supervisor take over: it is started beside the one that runs, looks at everything without touching, and gets the lease if it would leave everything as it is; otherwise, or if it ends, hangs or cannot be started, the one that runs stays in charge. It says for how long no restart could be decided. reexec has the keeper become its program anew, with the same pid, sockets and workers: for a new version of it. The new program is tried first; one that cannot take over is refused, and nothing has changed.",
  examples: [
    "holdfast self status",
    "holdfast self status -o json | jq .pid",
    "holdfast self upgrade",
    "holdfast self upgrade --to /opt/holdfast-2",
    "holdfast self reexec",
    "holdfast self reexec --to /opt/holdfast-2/build/Release/holdfast-keeper",
  ],
  exitCodes: {
    0: "it runs; it was upgraded; it was re-executed",
    1: "upgrade or reexec was refused, and nothing has changed; or the upgrade was taken back",
    2: "the command line is wrong",
    4: "not permitted",
    150: "nobody has said in time what became of the upgrade",
    151: "the supervisor cannot be reached",
  },
  run: async (context, [what]) => {
    if (what === "upgrade") return upgrade(context);
    if (context.options.timeout !== undefined) throw new Failure(exitCode.usage, "--timeout goes with upgrade");
    if (what === "reexec") return reExec(context);
    if (what !== "status")
      throw new Failure(exitCode.usage, `self knows "status", "upgrade" and "reexec", not "${what}"`);
    if (context.options.to !== undefined) throw new Failure(exitCode.usage, "--to goes with upgrade and with reexec");
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
    ["last upgrade", view.upgrade?.message ?? ""],
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
