/**
 * SIGKILL of a worker to the next answer, while the socket stays held. See bench/README.md.
 *
 *   node bench/restart-after-kill.mjs [--times 20] [--backoff-ms 10]
 */
import { setTimeout as pause } from "node:timers/promises";
import { freePort, startHoldfast } from "./lib/holdfast.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { buildPrograms, startPortPrinter } from "./lib/programs.mjs";
import { formatMs, median, quantile } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";
import { timeAnswer } from "./lib/time-answer.mjs";

/** A worker that was ready for so long counts as healthy in the configuration below: the next restart is at once. */
const QUIET_MS = 500;

const { values } = readOptions({
  options: { times: number({ min: 1, max: 200, default: 20 }), "backoff-ms": number({ max: 60_000, default: 10 }) },
});
const { times, "backoff-ms": backoffMs } = values;
const programs = buildPrograms();

async function startC() {
  const { port, stop } = await startPortPrinter(programs.supervisor, [programs.worker]);
  return { name: "ideal supervisor in C", port, stop };
}

async function startHoldfastSupervisor() {
  const port = await freePort();
  const holdfast = await startHoldfast({
    config: `
      [socket.bench]
      listen = ["tcp://127.0.0.1:${port}"]
      [service.bench]
      command = ["${programs.worker}"]
      sockets = ["bench"]
      start = "boot"
      ready = { when = "spawned" }
      restart = { when = "always", limit = { starts = 10000, interval = "1s" }, backoff = { initial = "${backoffMs}ms", factor = 1, max = "${backoffMs}ms", jitter = 0, reset_after = "${QUIET_MS / 2}ms" } }
      log = { to = "null" }`,
  });
  return { name: "Holdfast", port, stop: () => holdfast.dispose() };
}

/**
 * Time from the signal to the first byte of an answer by another worker. The dying worker may take a connection with it
 * (it was accepted between the signal and its delivery): then the client asks again, as clients do, and the time goes on.
 */
async function killAndAsk(port, pid) {
  const begun = performance.now();
  process.kill(pid, "SIGKILL");
  for (;;) {
    const asked = performance.now();
    const answer = await timeAnswer(port).catch((error) => {
      if (error.code === "no-answer" || error.code === "ECONNRESET") return undefined;
      throw error;
    });
    if (answer === undefined) continue;
    if (answer.pid === pid) throw new Error(`process ${pid} answered after SIGKILL`);
    return { ms: asked - begun + answer.ms, pid: answer.pid };
  }
}

const supervisors = [await startC(), await startHoldfastSupervisor()];
const quiet = supervisors.map(() => []);
const again = supervisors.map(() => []);

process.stdout.write(describeMachine());
try {
  for (let round = 0; round < times; round++) {
    for (const [index, { port }] of supervisors.entries()) {
      const { pid } = await timeAnswer(port);
      await pause(QUIET_MS); // A healthy run, not a wait for an event.
      const first = await killAndAsk(port, pid);
      const second = await killAndAsk(port, first.pid);
      quiet[index].push(first.ms);
      again[index].push(second.ms);
    }
  }
} finally {
  for (const supervisor of supervisors) await supervisor.stop();
}

const row = (name, samples, floor, backoff) => [
  name,
  formatMs(median(samples)),
  formatMs(quantile(samples, 0.99)),
  String(backoff),
  formatMs(median(samples) - backoff - median(floor)),
];
printTable(
  [
    `SIGKILL to the next answer, ${times} times`,
    "median, ms",
    "p99, ms",
    "backoff, ms",
    "above C beside the backoff, ms",
  ],
  [
    row(`${supervisors[0].name}, quiet`, quiet[0], quiet[0], 0),
    row(`${supervisors[1].name}, quiet`, quiet[1], quiet[0], 0),
    row(`${supervisors[0].name}, again at once`, again[0], again[0], 0),
    row(`${supervisors[1].name}, again at once`, again[1], again[0], backoffMs),
  ],
);
