/**
 * Memory of keeper and supervisor with 1, 50 and 200 services that only wait, and what they cost while nothing happens. See bench/README.md.
 *
 *   node bench/memory-idle.mjs [--services 1,50,200] [--seconds 30]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { startHoldfast } from "./lib/holdfast.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { readMemory, readProcess, readWakeUps } from "./lib/proc.mjs";
import { buildPrograms } from "./lib/programs.mjs";
import { printTable } from "./lib/table.mjs";
import { until } from "./lib/until.mjs";

/** What starting left behind is not idle time: V8 collects the garbage of the start for another half a minute. */
const SETTLE_MS = 40_000;

const { values } = readOptions({
  options: {
    services: number({ min: 1, max: 1000, list: true, default: [1, 50, 200] }),
    seconds: number({ min: 1, max: 300, default: 30 }),
  },
});
const { seconds } = values;
const programs = buildPrograms();

/** One row: a process that has been left alone for a while. */
async function observe(name, pid) {
  const begin = { cpuMs: readProcess(pid).cpuMs, wakeUps: readWakeUps(pid) };
  await pause(seconds * 1000); // The idle time that is measured.
  const { rss, pss, own } = readMemory(pid);
  const mib = (kib) => (kib / 1024).toFixed(1);
  return [
    name,
    mib(rss),
    mib(pss),
    mib(own),
    String(readProcess(pid).cpuMs - begin.cpuMs),
    ((readWakeUps(pid) - begin.wakeUps) / seconds).toFixed(2),
  ];
}

async function observeHoldfast(count) {
  const services = Array.from(
    { length: count },
    (_, index) => `[service.idle${index}]\ncommand = ["${programs.idle}"]\nready = { when = "spawned" }\n`,
  );
  const begun = performance.now();
  const holdfast = await startHoldfast({ config: services.join("") });
  try {
    const { pid } = await holdfast.answers();
    await until(
      "all services are ready",
      async () => (await holdfast.get("/v1/services")).services.every(({ phase }) => phase === "ready"),
      { timeoutMs: 60_000, everyMs: 20 },
    );
    const readyMs = performance.now() - begun;
    await pause(SETTLE_MS);
    const rows = await Promise.all([
      observe(`keeper, ${count} services`, holdfast.keeperPid),
      observe(`supervisor, ${count} services`, pid),
    ]);
    const stopping = performance.now();
    await holdfast.stop();
    return { rows, readyMs, stopMs: performance.now() - stopping };
  } finally {
    await holdfast.dispose();
  }
}

/** The floor of any supervisor in Node: a process that only holds a timer that never fires. */
async function observeNode() {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 2 ** 30)"], { stdio: "ignore" });
  await pause(SETTLE_MS);
  const row = await observe("an idle Node process", child.pid);
  child.kill("SIGKILL");
  await once(child, "exit");
  return row;
}

process.stdout.write(describeMachine());
const rows = [await observeNode()];
const times = [];
for (const count of values.services) {
  const observed = await observeHoldfast(count);
  rows.push(...observed.rows);
  times.push([`${count} services`, observed.readyMs.toFixed(0), observed.stopMs.toFixed(0)]);
}
printTable(
  [`idle for ${seconds} s`, "resident, MiB", "proportional, MiB", "own, MiB", "CPU, ms", "wake-ups a second"],
  rows,
);
process.stdout.write("\n");
printTable(["from `holdfast run`", "all ready, ms", "stop: all gone, ms"], times);
