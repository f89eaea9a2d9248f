import type { PlannedChange } from "../../daemon/control/api.js";
import type { Output } from "../command.js";
import type { Colour } from "./colour.js";
import { renderTable } from "./table.js";

/** One line per change. `HOW`: how gently; of what comes or goes it is empty. */
export function renderPlan(output: Output, changes: readonly PlannedChange[]): string {
  return renderTable(
    output,
    [
      { title: "WHAT", value: ({ subject, name }) => (subject === name ? subject : `${subject} ${name}`) },
      { title: "CHANGE", value: ({ change }) => change, colour: ({ change }) => colours[change] },
      { title: "HOW", value: ({ how }) => how ?? "" },
      { title: "KEYS", value: ({ keys }) => keys.join(","), mayShrink: true },
      { title: "EFFECT", value: ({ message }) => message, mayShrink: true },
    ],
    changes,
  );
}

const colours: Readonly<Record<PlannedChange["change"], Colour>> = { add: "green", change: "yellow", remove: "red" };
