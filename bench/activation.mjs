/**
 * Cold activation: from connect to the first byte of an answer, while no worker runs. See bench/README.md.
 *
 *   node bench/activation.mjs [--times 50] [--pause-ms 50]
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, startHoldfast } from "./lib/holdfast.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { buildPrograms, startPortPrinter } from "./lib/programs.mjs";
import { formatMs, median, quantile } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";
import { gone, timeAnswer } from "./lib/time-answer.mjs";

const SYSTEMD = "/usr/bin/systemd-socket-activate";
const { values } = readOptions({
  options: { times: number({ min: 1, max: 1000, default: 50 }), "pause-ms": number({ max: 60_000, default: 50 }) },
});
const { times, "pause-ms": pauseMs } = values;
const programs = buildPrograms();
const command = [programs.worker, "--once"];

async function startC() {
  const { port, stop } = await startPortPrinter(programs.activator, command);
  return { name: "ideal activator in C", port: () => port, stop };
}

async function startRunning() {
  const { port, stop } = await startPortPrinter(programs.supervisor, [programs.worker]);
  return { name: "a worker that runs already", port: () => port, stop, warm: true };
}

/** It becomes the worker, so that each activation needs a new one, started beforehand. */
async function startSystemd() {
  const port = await freePort();
  return {
    name: "systemd-socket-activate",
    async port() {
      const child = spawn(SYSTEMD, ["-l", `127.0.0.1:${port}`, ...command], { stdio: ["ignore", "ignore", "pipe"] });
      for await (const line of createInterface({ input: child.stderr })) if (line.startsWith("Listening on")) break;
      return port;
    },
    async stop() {},
  };
}

async function startHoldfastActivator() {
  const port = await freePort();
  const holdfast = await startHoldfast({
    config: `
      [socket.bench]
      listen = ["tcp://127.0.0.1:${port}"]
      [service.bench]
      command = ${JSON.stringify(command)}
      sockets = ["bench"]
      start = "connection"
      ready = { when = "spawned" }
      restart = { when = "on-failure", limit = { starts = 10000, interval = "1s" } }
      log = { to = "null" }`,
  });
  return { name: "Holdfast", port: () => port, stop: () => holdfast.dispose() };
}

const activators = [
  await startRunning(),
  await startC(),
  ...(existsSync(SYSTEMD) ? [await startSystemd()] : []),
  await startHoldfastActivator(),
];
const samples = activators.map(() => []);
let lastPids = activators.map(() => 0);

process.stdout.write(describeMachine());
try {
  // In turns, so that whatever else the machine does meets all of them.
  for (let round = 0; round < times; round++) {
    const pids = [];
    for (const [index, activator] of activators.entries()) {
      const port = await activator.port();
      await pause(pauseMs); // Not a wait for an event: the time without work is what makes the next start a cold one.
      const { ms, pid } = await timeAnswer(port);
      if (!activator.warm) {
        if (pid === lastPids[index]) throw new Error(`${activator.name}: process ${pid} answered twice`);
        await gone(pid);
      }
      pids.push(pid);
      samples[index].push(ms);
    }
    lastPids = pids;
  }
} finally {
  for (const activator of activators) await activator.stop();
}

const floor = median(samples[1]);
printTable(
  [`connect to first byte, ${times} times`, "median, ms", "p99, ms", "above C, ms"],
  activators.map(({ name }, index) => [
    name,
    formatMs(median(samples[index])),
    formatMs(quantile(samples[index], 0.99)),
    formatMs(median(samples[index]) - floor),
  ]),
);
