import type { ServiceView } from "../../daemon/control/api.js";
import type { Output } from "../command.js";
import { phaseColour } from "./colour.js";
import { renderTable } from "./table.js";
import { runningWorkers, serviceUptime } from "./uptime.js";

/** How many pids a line shows before it only counts. */
const pidsShown = 3;

/** One line per service; the column `NEXT` is there only if something is going to happen. */
export function renderServices(output: Output, services: readonly ServiceView[], now: number): string {
  const anyNext = services.some(({ next }) => next !== undefined);
  return renderTable(
    output,
    [
      { title: "SERVICE", value: ({ name }) => name },
      { title: "PHASE", value: ({ phase }) => phase, colour: ({ phase }) => phaseColour(phase) },
      { title: "READY", value: readyOf, right: true },
      { title: "RESTARTS", value: ({ restarts }) => String(restarts), right: true },
      { title: "UPTIME", value: (service) => serviceUptime(service, now).replaceAll(" ", ""), right: true },
      { title: "PIDS", value: renderPids },
      { title: "SOCKETS", value: ({ sockets }) => sockets.join(","), mayShrink: true },
      ...(anyNext ? [{ title: "NEXT", value: ({ next }: ServiceView) => next ?? "", mayShrink: true }] : []),
    ],
    services,
  );
}

/** Of one with a process for each connection: how many are open, and may be. */
function readyOf({ accepts, ready, instances }: ServiceView): string {
  return accepts === undefined ? `${ready}/${instances}` : `${accepts.open}/${accepts.most}`;
}

function renderPids(service: ServiceView): string {
  const pids = runningWorkers(service)
    .filter(({ pid }) => pid !== undefined)
    .map(({ pid }) => String(pid));
  if (pids.length <= pidsShown) return pids.join(",");
  return `${pids.slice(0, pidsShown - 1).join(",")},+${pids.length - pidsShown + 1}`;
}
