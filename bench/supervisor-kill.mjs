/**
 * `kill -9` of the supervisor, again and again, under load. See bench/README.md.
 *
 *   node bench/supervisor-kill.mjs [--times 10] [--rate 500]
 *
 * Exits with 1 when a request failed or a worker was replaced.
 */
import { setTimeout as pause } from "node:timers/promises";
import { freePort, startHoldfast } from "./lib/holdfast.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { buildPrograms } from "./lib/programs.mjs";
import { formatMs, median, quantile } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";
import { gone } from "./lib/time-answer.mjs";
import { startLoad } from "./load.mjs";

/** The keeper replaces a supervisor that was attached for 10 s at once, others after 100 ms, doubling to 5 s (docs/protocol.md). */
const SETTLED_MS = 10_500;

const { values } = readOptions({
  options: { times: number({ min: 1, max: 100, default: 10 }), rate: number({ min: 1, max: 5000, default: 500 }) },
});
const { times, rate } = values;
const programs = buildPrograms();
const port = await freePort();
const holdfast = await startHoldfast({
  config: `
    [socket.bench]
    listen = ["tcp://127.0.0.1:${port}"]
    [service.bench]
    command = ["${programs.worker}"]
    sockets = ["bench"]
    workers = 2
    start = "boot"
    ready = { when = "spawned" }
    log = { to = "null" }`,
});

/** Adds the time from the signal to an answer of the next supervisor, in ms, to `samples`. */
async function killSupervisor(samples) {
  const { pid } = await holdfast.answers();
  const begun = performance.now();
  process.kill(pid, "SIGKILL");
  await gone(pid);
  const view = await holdfast.answers();
  if (view.pid === pid) throw new Error(`supervisor ${pid} answered after SIGKILL`);
  samples.push(performance.now() - begun);
  adopted.push(view.adoptedInMs ?? Number.NaN);
}

process.stdout.write(describeMachine());
const inARow = [];
const settled = [];
const adopted = [];
const answering = new Set();
let result;
let before;
let after;
try {
  await holdfast.run("wait", "bench", "--for", "ready", "--timeout", "10s");
  before = await holdfast.workerPids("bench");
  const load = startLoad({
    target: { host: "127.0.0.1", port },
    protocol: "line",
    rate,
    durationMs: 300_000,
    onAnswer: (body) => answering.add(Number(body.slice(3))),
  });
  await pause(500);
  for (let kill = 0; kill < times; kill++) {
    await killSupervisor(inARow);
    await pause(300); // Load with a supervisor in place, between two kills.
  }
  await pause(SETTLED_MS);
  await killSupervisor(settled);
  result = await load.stop();
  after = await holdfast.workerPids("bench");
} finally {
  await holdfast.dispose();
}

const strangers = [...answering].filter((pid) => !before.includes(pid));
printTable(
  [`kill -9 of the supervisor, ${times} times, ${rate} requests/s`, ""],
  [
    ["requests sent", result.sent],
    ["requests failed", result.failed],
    [
      "workers before; after; others that answered",
      `${before.join(" ")}; ${after.join(" ")}; ${strangers.join(" ") || "none"}`,
    ],
    ["latency p50; p99; longest, ms", [result.p50, result.p99, result.max].map(formatMs).join("; ")],
    [
      "start of the process to adopted, median; longest, ms",
      `${formatMs(median(adopted))}; ${formatMs(quantile(adopted, 1))}`,
    ],
    [
      "SIGKILL to an answer of the new one, with the keeper's backoff, median; longest, ms",
      `${formatMs(median(inARow))}; ${formatMs(quantile(inARow, 1))}`,
    ],
    [`the same once it was attached for ${SETTLED_MS / 1000} s, ms`, formatMs(median(settled))],
  ],
);
if (result.failed > 0 || strangers.length > 0 || String(before) !== String(after)) process.exitCode = 1;
