import type { CommandSpec } from "../command.js";
import { exitCode } from "../exit-code.js";
import { plannedBy } from "../planned.js";
import { renderJson } from "../render/json.js";
import { renderPlan } from "../render/plan-table.js";

/** As `diff -q` and its like have it: a difference is neither success nor trouble. */
const thereAreChanges = 2;

export const plan: CommandSpec = {
  details:
    "The supervisor reads its configuration files again and tells what is different from what is in force. Nothing is changed. HOW is live (nothing that runs is touched), rolling (the workers are replaced, the successor ready first), or rebind or restart, which apply refuses.",
  examples: ["holdfast plan", "holdfast plan -o json | jq '.changes[].name'"],
  exitCodes: {
    0: "nothing would change",
    2: "there are changes; or the command line is wrong",
    4: "not permitted",
    6: "the configuration is wrong or cannot be read",
    151: "the supervisor cannot be reached",
  },
  run: async (context) => {
    const { out, err, options } = context;
    const planned = await plannedBy(await context.client(), context);
    if (options.output !== "table") out.write(renderJson(options.output, planned, planned.changes));
    else if (planned.changes.length > 0) out.write(renderPlan(out, planned.changes));
    else err.write("holdfast: nothing would change\n");
    return planned.changes.length > 0 ? thereAreChanges : exitCode.done;
  },
};
