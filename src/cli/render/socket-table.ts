import type { SocketView } from "../../daemon/control/api.js";
import type { Output } from "../command.js";
import { renderTable } from "./table.js";

/** One line per socket. `QUEUE`: connections that wait now, of how many that may. */
export function renderSockets(output: Output, sockets: readonly SocketView[]): string {
  const anyError = sockets.some(({ error }) => error !== undefined);
  return renderTable(
    output,
    [
      { title: "SOCKET", value: ({ name }) => name },
      { title: "ADDRESS", value: ({ address }) => address, mayShrink: true },
      {
        title: "STATE",
        value: ({ bound, pausedUntil }) => (bound ? (pausedUntil === undefined ? "bound" : "paused") : "unbound"),
        colour: ({ bound, pausedUntil }) => (bound ? (pausedUntil === undefined ? "green" : "yellow") : "red"),
      },
      { title: "QUEUE", value: renderQueue, right: true },
      { title: "SERVICES", value: ({ services }) => services.join(","), mayShrink: true },
      ...(anyError
        ? [
            {
              title: "ERROR",
              value: ({ error }: SocketView) => error ?? "",
              colour: () => "red" as const,
              mayShrink: true,
            },
          ]
        : []),
    ],
    sockets,
  );
}

function renderQueue({ queued, backlog }: SocketView): string {
  if (queued === undefined) return "";
  return backlog === undefined ? String(queued) : `${queued}/${backlog}`;
}
