import type { LogLine } from "../../daemon/control/api.js";
import { servicePath } from "../client.js";
import { type CommandContext, type CommandSpec, InvalidOption, type OptionSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { followForever } from "../follow.js";
import { coloured } from "../render/colour.js";
import { counted, printableWithColours } from "../render/text.js";
import { servicesNamed } from "../services-named.js";

const defaultLines = 100;

export const tailOptions: readonly OptionSpec[] = [
  { flags: "-f, --follow", description: "go on with what comes, until Ctrl-C; a new supervisor is followed on" },
  {
    flags: "-n, --lines <count>",
    description: "how many of the last ones, 0 to 10000",
    parse: parseLines,
    default: defaultLines,
  },
];

export const logs: CommandSpec = {
  operands: [{ flags: "<name...>", description: "services, also as patterns: 'web-*'" }],
  options: [...tailOptions, { flags: "--raw", description: "only what the workers wrote, without time and worker" }],
  details:
    "Shows what is still in the supervisor's memory; a service that logs to a file has the rest there. In JSON: a list of lines (with -f always one line each).",
  examples: ["holdfast logs web", "holdfast logs web -f -n 0", "holdfast logs 'web-*' -n 1000 | grep -i error"],
  exitCodes: {
    0: "shown",
    2: "the command line is wrong",
    4: "not permitted",
    5: "no such service",
    130: "ended by Ctrl-C",
    151: "the supervisor cannot be reached",
  },
  run: async (context, patterns) => {
    const client = await context.client();
    const { services, missing } = await servicesNamed(context, client, patterns);
    const { follow, lines = defaultLines } = context.options;
    if (follow === true && services.length > 0) {
      const show = (line: LogLine) => context.out.write(renderLine(context, line));
      const followers = services.map(({ name }) =>
        followForever<LogLine>(context, client, { path: `${servicePath(name)}/logs`, event: "log", lines, show }),
      );
      return Promise.race(followers);
    }
    const tails = await Promise.all(services.map(({ name }) => client.logs(name, lines)));
    const all = inOrderOfTime(tails.map((tail) => tail.lines));
    const last = lines === 0 ? [] : all.slice(-lines);
    if (context.options.output === "json") context.out.write(`${JSON.stringify(last, undefined, 2)}\n`);
    else context.out.write(last.map((line) => renderLine(context, line)).join(""));
    for (const [i, { dropped }] of tails.entries()) {
      if (dropped > 0 && tails[i]!.lines.length < lines)
        context.err.write(
          `holdfast: ${services[i]!.name}: ${counted(dropped, "older line")} ${dropped === 1 ? "is" : "are"} no longer in memory\n`,
        );
    }
    return missing > 0 ? exitCode.noSuchService : exitCode.done;
  },
};

/** In a pipe the text goes as it is; on a terminal it cannot move the cursor. */
function renderLine(context: CommandContext, line: LogLine): string {
  const { out, options } = context;
  if (options.output !== "table") return `${JSON.stringify(line)}\n`;
  const text = out.isTerminal ? printableWithColours(line.text) : line.text;
  if (options.raw === true) return `${text}\n`;
  const head = coloured(out, "dim", line.at);
  const who = coloured(out, line.stream === "stderr" ? "yellow" : "green", line.instance);
  return `${head} ${who} | ${text}\n`;
}

function parseLines(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count > 10_000) throw new InvalidOption("expected a number from 0 to 10000.");
  return count;
}

/** The lines of each service stay in their order, also where the wall clock was set back between two of them. */
export function inOrderOfTime(tails: readonly (readonly LogLine[])[]): readonly LogLine[] {
  const timed = tails.flatMap((lines) => {
    let latest = "";
    return lines.map((line) => {
      if (line.at > latest) latest = line.at;
      return { line, latest };
    });
  });
  return timed.sort((a, b) => (a.latest < b.latest ? -1 : a.latest > b.latest ? 1 : 0)).map(({ line }) => line);
}
