/**
 * Others that restart a server, and Holdfast, one after the other under the same load. See bench/README.md.
 *
 *   node bench/peers-restarts.mjs [--peer NAME,…] [--mode new,ka] [--times 10] [--rate 500] [--pause-ms 1000] [--json]
 *
 * Names: those of bench/peers/index.mjs and `holdfast`. What is not installed is skipped, and that is said.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { missing } from "./lib/bench-workers.mjs";
import { freePort } from "./lib/holdfast.mjs";
import { keptUp, startLoadProcess } from "./lib/load-process.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions, refuse } from "./lib/options.mjs";
import { runRestarts } from "./lib/restart-run.mjs";
import { formatMs, median } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";
import { startUpstream } from "./lib/upstream.mjs";
import { PEERS } from "./peers/index.mjs";

/** Workers of Holdfast that stand for it here: without a handler, as applications are, and with the library, where this version has it. */
const HOLDFAST = ["node-plain", "node-worker", "nginx"];
const LONGEST_MS = 15 * 60_000;

const text = { type: "string" };
const { values } = readOptions({
  options: {
    ...{ peer: text, mode: { ...text, default: "new,ka" } },
    ...{ times: number({ min: 1, max: 1000, default: 10 }), rate: number({ min: 1, max: 5000, default: 500 }) },
    "pause-ms": number({ max: 60_000, default: 1000 }),
    json: { type: "boolean", default: false },
  },
});
const options = {
  times: values.times,
  rate: values.rate,
  pauseMs: values["pause-ms"],
  address: "tcp",
  seed: 1,
};
const modes = values.mode.split(",");
const names = values.peer?.split(",") ?? ["holdfast", ...Object.keys(PEERS)];
const say = (line) => process.stderr.write(`${line}\n`);

/** {name, mode, result, times} of one peer in one mode. */
async function measure(peer, mode) {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-peer-"));
  chmodSync(directory, 0o755); // Some run their workers as another user.
  const port = await freePort();
  const running = [];
  try {
    if (peer.upstream) running.push(await startUpstream(directory));
    const server = await peer.start({ directory, port });
    running.push(server);
    const load = await startLoadProcess("http", {
      target: { host: "127.0.0.1", port },
      connections: mode === "ka" ? "kept" : "new",
      rate: options.rate,
      echo: true,
      slow: { every: 20, path: "/slow/300" },
      durationMs: LONGEST_MS,
    });
    running.push(load);
    const restarts = [];
    let keepsUp = true;
    for (let count = 0; count < options.times; count++) {
      await pause(options.pauseMs);
      if (count === 0) keepsUp = keptUp(await load.result(), options.rate);
      const begun = performance.now();
      await server.restart();
      restarts.push({ ms: performance.now() - begun });
    }
    await pause(options.pauseMs);
    running.pop();
    return { name: peer.name, mode, seenBefore: peer.seenBefore[mode], restarts, keepsUp, result: await load.stop() };
  } finally {
    for (const one of running.reverse()) await one.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureHoldfast(mode) {
  const runs = [];
  for (const name of HOLDFAST) {
    const run = await runRestarts({ name, mode, killSupervisor: false }, options);
    if (run.skipped === undefined) runs.push({ ...run, name: `Holdfast, ${name}`, seenBefore: "" });
    else say(`SKIPPED Holdfast, ${name}: ${run.skipped}`);
  }
  return runs;
}

if (!values.json) process.stdout.write(describeMachine());
const runs = [];
for (const mode of modes) {
  for (const name of names) {
    const peer = PEERS[name];
    if (peer === undefined && name !== "holdfast")
      refuse(`there is no peer "${name}", but holdfast, ${Object.keys(PEERS).join(", ")}`);
    if (peer === undefined) {
      runs.push(...(await measureHoldfast(mode)));
      continue;
    }
    peer.fetch?.();
    const reason = missing(peer);
    if (reason === undefined) runs.push(await measure(peer, mode));
    else say(`SKIPPED ${peer.name}: ${reason}`);
  }
}

function lineOf({ name, mode, seenBefore, restarts, result }) {
  return [
    ...[name, mode, restarts.length, formatMs(median(restarts.map(({ ms }) => ms))), result.sent, result.failed],
    ...[
      result.idleRace,
      result.failed + result.idleRace,
      seenBefore,
      `${result.closedIdle} / ${result.closedAnnounced}`,
    ],
    ...[`${formatMs(result.p50)} / ${formatMs(result.p99)}`, formatMs(result.longestGapMs), formatMs(result.late.p99)],
  ];
}

if (values.json) process.stdout.write(`${JSON.stringify(runs)}\n`);
else {
  printTable(
    [
      ...["system", "mode", "restarts", "ms each", "requests", "failed", "idle race", "both", "seen before"],
      ...["closed idle / announced", "p50 / p99, ms", "longest gap, ms", "sent late p99, ms"],
    ],
    runs.map(lineOf),
  );
  for (const { name, mode, result, keepsUp } of runs) {
    if (!keepsUp) process.stdout.write(`${name}, ${mode}: was behind the load before the first restart already\n`);
    const failures = Object.entries({ ...result.outcomes, ...result.errors }).filter(
      ([what, count]) => count > 0 && what !== "answered",
    );
    if (failures.length > 0)
      process.stdout.write(`${name}, ${mode}: ${failures.map(([what, count]) => `${what} ${count}`).join(", ")}\n`);
  }
}
