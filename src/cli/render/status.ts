import type { AcceptView, LogLine, ServiceView, SocketView, WorkerView } from "../../daemon/control/api.js";
import type { Output } from "../command.js";
import { coloured, phaseColour } from "./colour.js";
import { renderTable } from "./table.js";
import { cut, printable } from "./text.js";
import { relativeTime, workerUptime } from "./uptime.js";

/** One service in detail: its facts, its workers, its last failure and its last lines. */
export function renderStatus(
  output: Output,
  o: {
    readonly service: ServiceView;
    readonly sockets: readonly SocketView[];
    readonly lines: readonly LogLine[];
    readonly now: number;
  },
): string {
  const { service, now } = o;
  const onOneLine = (text: string) => cut(printable(text), output.columns);
  const facts = factsOf(service, o.sockets, now).map(([name, value]) => onOneLine(`  ${name.padEnd(9)}  ${value}`));
  const failure = service.lastFailure;
  return [
    `${coloured(output, "bold", service.name)}  ${coloured(output, phaseColour(service.phase), service.phase)}  ${countInWords(service)}`,
    ...facts,
    ...(service.workers.length === 0 ? [] : ["", indented(renderWorkers(output, service.workers, now))]),
    ...(failure === undefined
      ? []
      : [
          "",
          onOneLine(`  last failure ${relativeTime(failure.at, now)}: ${failure.message}`),
          onOneLine(`  "holdfast why ${service.name}" tells more`),
        ]),
    ...(o.lines.length === 0
      ? []
      : ["", ...o.lines.map((line) => onOneLine(`  ${line.at} ${line.instance} | ${line.text}`))]),
    "",
  ].join("\n");
}

function factsOf(service: ServiceView, sockets: readonly SocketView[], now: number): [string, string][] {
  const own = sockets.filter(({ name }) => service.sockets.includes(name));
  const starts = service.desired === "stopped" ? `${service.start} (stopped by the operator)` : service.start;
  const nextStart =
    service.nextStartAt === undefined ? undefined : `another start ${relativeTime(service.nextStartAt, now)}`;
  const facts: [string, string | undefined][] = [
    ["type", service.type === "task" ? "task" : undefined],
    ["start", starts],
    ["completed", service.completedAt === undefined ? undefined : relativeTime(service.completedAt, now)],
    ["sockets", own.map(({ name, address, bound }) => `${name} ${address}${bound ? "" : " (unbound)"}`).join(", ")],
    ["readiness", service.readiness],
    ["restarts", service.accepts === undefined ? String(service.restarts) : undefined],
    ["accepted", service.accepts && acceptedInWords(service.accepts)],
    ["status", service.statusText],
    ["next", service.next ?? nextStart],
    ["left", leftInWords(service)],
    ["log", droppedInWords(service)],
  ];
  return facts.flatMap(([name, value]): [string, string][] =>
    value === undefined || value === "" ? [] : [[name, value]],
  );
}

function leftInWords({ leftBehind = 0 }: ServiceView): string | undefined {
  if (leftBehind === 0) return undefined;
  return leftBehind === 1 ? "1 process of earlier workers goes on" : `${leftBehind} processes of earlier workers go on`;
}

function countInWords({ accepts, ready, instances }: ServiceView): string {
  return accepts === undefined ? `${ready}/${instances} ready` : `${accepts.open} of ${accepts.most} connections`;
}

function acceptedInWords({ accepted, refused, refusedPerSource, vanished, queued }: AcceptView): string {
  const words = [
    String(accepted),
    ...(queued === undefined ? [] : [`${queued} queued`]),
    `${refused + refusedPerSource} refused${refusedPerSource > 0 ? ` (${refusedPerSource} by max_connections_per_source)` : ""}`,
    ...(vanished > 0 ? [`${vanished} gone before`] : []),
  ];
  return words.join(", ");
}

function droppedInWords({ logDropped, logBytesDropped }: ServiceView): string | undefined {
  const words = [
    ...(logDropped > 0 ? [`${logDropped} lines dropped`] : []),
    ...(logBytesDropped > 0 ? [`${logBytesDropped} bytes dropped while there was no supervisor`] : []),
  ];
  return words.length === 0 ? undefined : words.join(", ");
}

function renderWorkers(output: Output, workers: readonly WorkerView[], now: number): string {
  const anyValve = workers.some(({ valve }) => valve !== undefined);
  const anyStatus = workers.some((worker) => statusOf(worker, now) !== "");
  const anyPeer = workers.some(({ peer }) => peer !== undefined);
  const anyStored = workers.some(({ stored }) => stored !== undefined);
  return renderTable(
    { ...output, columns: output.columns - 2 },
    [
      { title: "WORKER", value: ({ instance }) => instance },
      { title: "ID", value: ({ id }) => String(id), right: true },
      { title: "PID", value: ({ pid }) => (pid === undefined ? "" : String(pid)), right: true },
      { title: "PHASE", value: ({ phase }) => phase, colour: ({ phase }) => phaseColour(phase) },
      { title: "ROLE", value: ({ role }) => role },
      { title: "UPTIME", value: (worker) => workerUptime(worker, now), right: true },
      ...(anyPeer ? [{ title: "PEER", value: ({ peer }: WorkerView) => peer ?? "", mayShrink: true }] : []),
      ...(anyValve ? [{ title: "VALVE", value: valveOf, mayShrink: true }] : []),
      ...(anyStored ? [{ title: "STORED", value: ({ stored }: WorkerView) => String(stored ?? 0), right: true }] : []),
      ...(anyStatus
        ? [{ title: "STATUS", value: (worker: WorkerView) => statusOf(worker, now), mayShrink: true }]
        : []),
    ],
    workers,
  );
}

function valveOf({ valve, inFlight }: WorkerView): string {
  return [valve, inFlight === undefined ? undefined : `(${inFlight} in flight)`].filter(Boolean).join(" ");
}

/** All that it says of itself, how it was found, and when its time is over. */
function statusOf(worker: WorkerView, now: number): string {
  const { statusText, errno, exitStatus, hook, reloading, unhealthy, aside, startedAs, runsUntil } = worker;
  const said = [
    ...(unhealthy === undefined ? [] : [`(unhealthy: ${unhealthy}${aside === undefined ? "" : `; gets ${aside}`})`]),
    ...(hook === undefined ? [] : [`(${hook} runs)`]),
    ...(reloading ? ["(reloading)"] : []),
    ...(startedAs === undefined ? [] : [`(started as pid ${startedAs})`]),
    ...(errno === undefined ? [] : [`(${errno})`]),
    ...(exitStatus === undefined ? [] : [`(exit status ${exitStatus})`]),
    ...(runsUntil === undefined ? [] : [`(run_limit ${relativeTime(runsUntil, now)})`]),
  ];
  return [statusText ?? "", ...said].join(" ").trim();
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "  ");
}
