import type { EventView } from "../../daemon/control/api.js";
import type { CommandContext, CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { followForever } from "../follow.js";
import { coloured } from "../render/colour.js";
import { printable } from "../render/text.js";
import { tailOptions } from "./logs.js";

export const events: CommandSpec = {
  options: tailOptions,
  details:
    "Facts such as worker-started, worker-exited or start-limit, oldest first. In JSON: a list (with -f always one line each).",
  examples: ["holdfast events -n 20", "holdfast events -f", "holdfast events -f -o jsonl | jq -r .type"],
  exitCodes: {
    0: "shown",
    2: "the command line is wrong",
    4: "not permitted",
    130: "ended by Ctrl-C",
    151: "the supervisor cannot be reached",
  },
  run: async (context) => {
    const client = await context.client();
    const { follow, lines = 100 } = context.options;
    const show = (event: EventView) => context.out.write(renderEvent(context, event));
    if (follow === true)
      return followForever<EventView>(context, client, { path: "/v1/events", event: "event", lines, show });
    const last = await client.events(lines);
    if (context.options.output === "json") context.out.write(`${JSON.stringify(last, undefined, 2)}\n`);
    else for (const event of last) show(event);
    return exitCode.done;
  },
};

function renderEvent({ out, options }: CommandContext, event: EventView): string {
  if (options.output !== "table") return `${JSON.stringify(event)}\n`;
  const about = event.instance ?? event.service;
  const subject = about === undefined ? "" : `${about}: `;
  return `${coloured(out, "dim", event.at)} ${coloured(out, "bold", event.type)} ${subject}${printable(event.message)}\n`;
}
