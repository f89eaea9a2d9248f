import type { ReceiptView, RetiredView } from "../../daemon/control/api.js";
import { formatDuration } from "../duration.js";
import { printable } from "./text.js";

/** What a restart has done, one line for each worker and socket; what is zero and ought to be is left out. */
export function renderReceipt(receipt: ReceiptView): string {
  const lines = [
    ...receipt.started.map(
      ({ instance, worker, readyMs }) => `${instance} worker ${worker}: ready after ${formatDuration(readyMs)}`,
    ),
    ...receipt.retired.map(retiredLine),
    ...receipt.sockets.map(
      ({ name, address, highestQueue, drops }) =>
        `socket ${name} ${address}: at most ${highestQueue} waited${drops > 0 ? `, the kernel dropped ${drops}` : ", none dropped"}`,
    ),
    ...readinessLine(receipt),
  ];
  return lines.map((line) => `  ${printable(line)}\n`).join("");
}

/** Where no worker came or went there may have been none at all: a service that only waits for a connection. */
function readinessLine({ longestUnreadyMs, started, retired }: ReceiptView): string[] {
  if (longestUnreadyMs > 0) return [`no worker was ready for ${formatDuration(longestUnreadyMs)}`];
  return started.length + retired.length > 0 ? ["a worker was ready all the time"] : [];
}

function retiredLine(retired: RetiredView): string {
  const { instance, worker, forced, end } = retired;
  return `${instance} worker ${worker}: ${drainWords(retired)}; it ${end}${forced ? ", SIGKILL was needed" : ""}`;
}

function drainWords({ valve, why, drainMs, drained, closed, cut, handedOver }: RetiredView): string {
  if (valve === "none") return "stopped without a drain";
  if (valve === "signal") return `no valve (${why ?? "unknown"}), so the stop signal was all it got`;
  const cutWords = cut > 0 ? `, ${count(cut)} cut` : ", none cut";
  const shut = closed > 0 ? `, ${closed} closed between two requests` : "";
  const given = handedOver > 0 ? `${count(handedOver)} handed over, ` : "";
  return `valve ${valve}, ${given}${count(drained)} drained in ${formatDuration(drainMs)}${shut}${cutWords}`;
}

function count(connections: number): string {
  return connections === 1 ? "1 connection" : `${connections} connections`;
}
