/**
 * What a restart does to new connections while a slow request is in hand: how long the slowest of them had to wait. See bench/README.md.
 *
 *   node bench/restart-with-slow.mjs [--times 3] [--slow-ms 3000] [--rate 200]
 *
 * Exits with 1 when a request of the rolling restart failed.
 */
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, startHoldfast } from "./lib/holdfast.mjs";
import { startLoadProcess } from "./lib/load-process.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { root } from "./lib/programs.mjs";
import { formatMs, median } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";

const { values } = readOptions({
  options: {
    times: number({ min: 1, max: 100, default: 3 }),
    "slow-ms": number({ min: 500, max: 30_000, default: 3000 }),
    rate: number({ min: 1, max: 2000, default: 200 }),
  },
});
const { times, "slow-ms": slowMs, rate } = values;

/** Without a restart, which is the floor; successor first; and stopped first, as supervisors do that know no other way. */
const WAYS = [
  { name: "no restart", restart: undefined },
  { name: "restart", restart: { action: "restart", hard: false } },
  { name: "restart --hard", restart: { action: "restart", hard: true } },
];

const port = await freePort();
const holdfast = await startHoldfast({
  // At SIGTERM this program finishes what it has in hand, so that nothing is lost either way.
  config: `
    [socket.web]
    listen = ["tcp://127.0.0.1:${port}"]
    [service.web]
    command = ["node", "${join(root, "bench/workers/node-closes.mjs")}"]
    sockets = ["web"]
    stop = { timeout = "60s" }
    log = { to = "null" }`,
});

/** A request that takes `slowMs`; resolves once it is sent, with the promise of its answer. */
async function askSlowly() {
  const sent = request({ host: "127.0.0.1", port, path: `/slow/${slowMs}`, agent: false }).end();
  const answer = once(sent, "response").then(([response]) => text(response));
  answer.catch(() => {}); // Looked at when the restart is over.
  await once(sent, "finish");
  return { answer };
}

async function measure({ restart }) {
  const target = { host: "127.0.0.1", port };
  const load = await startLoadProcess("http", { target, rate, timeoutMs: slowMs * 4, durationMs: slowMs * 10 });
  const { answer } = await askSlowly();
  await pause(200); // Load without a restart, and the worker has the slow request in hand.
  const begun = performance.now();
  const { result } = restart === undefined ? { result: "done" } : await holdfast.act("web", restart);
  const ms = performance.now() - begun;
  const slow = await answer.then(
    () => "answered",
    (error) => error.code,
  );
  const { failed, max, p50 } = await load.stop();
  return { result, ms, slow, failed, max, p50 };
}

process.stdout.write(describeMachine());
const runs = WAYS.map(() => []);
try {
  await holdfast.run("wait", "web", "--for", "ready", "--timeout", "30s");
  for (let round = 0; round < times; round++)
    for (const [index, way] of WAYS.entries()) runs[index].push(await measure(way));
} finally {
  await holdfast.dispose();
}

printTable(
  [
    `a request of ${slowMs} ms in hand, ${times} times`,
    "took, ms",
    "new connections: median, ms",
    "longest wait: median, ms",
    "most, ms",
    "failed",
    "the slow request",
  ],
  WAYS.map(({ name }, index) => {
    const of = (key) => runs[index].map((run) => run[key]);
    return [
      of("result").every((result) => result === "done") ? name : `${name} (${of("result").join(", ")})`,
      formatMs(median(of("ms"))),
      formatMs(median(of("p50"))),
      formatMs(median(of("max"))),
      formatMs(Math.max(...of("max"))),
      of("failed").reduce((sum, count) => sum + count, 0),
      [...new Set(of("slow"))].join(", "),
    ];
  }),
);
if (runs[1].some(({ failed, slow, result }) => failed > 0 || slow !== "answered" || result !== "done"))
  process.exitCode = 1;
