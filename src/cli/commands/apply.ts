import type { ApplyView } from "../../daemon/control/api.js";
import { timeoutOption } from "../act.js";
import type { CommandContext, CommandSpec } from "../command.js";
import { formatDuration } from "../duration.js";
import { exitCode } from "../exit-code.js";
import { plannedBy } from "../planned.js";
import { coloured } from "../render/colour.js";
import { renderJson } from "../render/json.js";
import { renderPlan } from "../render/plan-table.js";
import { renderReceipt } from "../render/receipt.js";
import { printable } from "../render/text.js";

const codes: Readonly<Record<ApplyView["result"], number>> = {
  done: exitCode.done,
  unchanged: exitCode.done,
  failed: exitCode.failed,
  "rolled-back": exitCode.rolledBack,
};

export const apply: CommandSpec = {
  options: [timeoutOption],
  details:
    "Shows the plan, then puts it in force, all or nothing: if a socket cannot be bound or a worker does not become ready, everything that was changed is changed back, and what ran goes on running. Services and sockets that the plan does not name are not touched. In JSON: the outcome, with the changes.",
  examples: ["holdfast apply", "holdfast apply --timeout 2min", "holdfast apply -o json | jq -r .result"],
  exitCodes: {
    0: "in force, or nothing was to be changed",
    1: "failed, and nothing was touched",
    2: "the command line is wrong",
    4: "not permitted",
    6: "the configuration is wrong or cannot be read",
    150: "timed out",
    151: "the supervisor cannot be reached",
    152: "rolled back: a worker failed, and everything is as before",
  },
  run: async (context) => {
    const { out, options } = context;
    const client = await context.client();
    const planned = await plannedBy(client, context);
    if (options.output === "table" && planned.changes.length > 0) out.write(renderPlan(out, planned.changes));
    context.onInterrupt("the apply goes on in the supervisor");
    const outcome = await client.apply(planned.id, options.timeout);
    context.onInterrupt(undefined);
    if (outcome === "timed-out") {
      context.err.write(
        `holdfast: the apply is not complete after ${formatDuration(options.timeout ?? 0)}; it goes on\n`,
      );
      return exitCode.timedOut;
    }
    if (options.output !== "table") out.write(renderJson(options.output, outcome, [outcome]));
    tell(context, outcome);
    return codes[outcome.result];
  },
};

/** What went well goes to stdout, where a table is wanted; what did not is a message. */
function tell({ out, err, options }: CommandContext, outcome: ApplyView): void {
  if (codes[outcome.result] === exitCode.done) {
    if (options.output !== "table") return;
    const took = outcome.result === "done" ? ` (${formatDuration(outcome.durationMs)})` : "";
    out.write(`${printable(outcome.message)}${coloured(out, "dim", took)}\n`);
    for (const receipt of outcome.receipts) out.write(renderReceipt(receipt));
    return;
  }
  const word = coloured(err, "red", outcome.result.replace("-", " "));
  const lines = outcome.failure?.lastLines.map((text) => `  | ${printable(text)}\n`) ?? [];
  err.write(`holdfast: ${word}: ${printable(outcome.message)}\n${lines.join("")}`);
}
