import { formatMs, median } from "./samples.mjs";
import { printTable } from "./table.mjs";

const HEADINGS = [
  ...["worker", "mode", "fault", "restarts", "ms each", "requests", "failed", "idle race", "closed idle / announced"],
  ...["p50 / p99, ms", "longest gap, ms", "workers seen", "sent late p99, ms", "promised 0", "verdict"],
];

/** One line for each run of bench/lib/restart-run.mjs, then what was not as promised and how requests failed. */
export function printRestarts(runs) {
  printTable(HEADINGS, runs.map(lineOf));
  for (const run of runs) {
    const name = `${run.name} ${run.mode} ${run.fault}`.trim();
    const { outcomes = {}, errors = {} } = run.result;
    const failures = Object.entries({ ...outcomes, ...errors }).filter(
      ([what, count]) => count > 0 && !["answered", "idle-race"].includes(what),
    );
    if (failures.length > 0)
      process.stdout.write(`${name}: ${failures.map(([what, count]) => `${what} ${count}`).join(", ")}\n`);
    if (run.broken.length > 0) process.stdout.write(`${name}: NOT AS PROMISED: ${run.broken.join("; ")}\n`);
    if (run.without.length > 0)
      process.stdout.write(`${name}: without ${run.without.join(", ")}, which this version does not know\n`);
    if (!run.keepsUp) process.stdout.write(`${name}: was behind the load before the first restart already\n`);
    if (run.result.late.p99 > 20)
      process.stdout.write(`${name}: the load itself was disturbed: latency and gaps are not the server's alone\n`);
  }
  process.stdout.write("\n");
}

/** The receipt of the last restart of each run, where Holdfast gives one. */
export function printReceipts(runs) {
  for (const { name, mode, fault, restarts } of runs) {
    const receipt = restarts.findLast((restart) => restart.receipt !== undefined)?.receipt;
    if (receipt !== undefined)
      process.stdout.write(
        `receipt of the last restart of ${name} ${mode} ${fault}:\n${JSON.stringify(receipt, null, 2)}\n`,
      );
  }
}

function lineOf({ name, mode, fault, restarts, kills, result, promised, broken }) {
  const outcomes = new Map();
  for (const { outcome } of restarts) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  return [
    name,
    result.outcomes === undefined ? "" : mode,
    kills > 0 ? `${fault} ${kills}×` : fault,
    [...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", "),
    formatMs(median(restarts.map(({ ms }) => ms))),
    result.sent ?? result.messages,
    failedOf(result),
    result.idleRace ?? "",
    result.closedIdle === undefined
      ? result.closed === undefined
        ? ""
        : `${result.closed + result.reset}`
      : `${result.closedIdle} / ${result.closedAnnounced}`,
    `${formatMs(result.p50)} / ${formatMs(result.p99)}`,
    formatMs(result.longestGapMs),
    result.workers === undefined ? "" : Object.keys(result.workers).length,
    formatMs(result.late.p99),
    promised.join(", ") || "-",
    broken.length > 0 ? "BROKEN" : promised.length > 0 ? "held" : "-",
  ];
}

function failedOf({ failed, lost, duplicated, wrong }) {
  return failed ?? `${lost} lost, ${duplicated} twice, ${wrong} wrong`;
}
