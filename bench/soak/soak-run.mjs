import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { accepts } from "../lib/daemon.mjs";
import { freePort, startHoldfast, writeConfiguration } from "../lib/holdfast.mjs";
import { randomFrom } from "../lib/random.mjs";
import { until } from "../lib/until.mjs";
import { initialShape, KEPT_LOGS, NAMES, renderConfiguration } from "./configuration.mjs";
import { Faults } from "./faults.mjs";
import { startLoadsProcess } from "./loads.mjs";
import { LogReader } from "./log-reader.mjs";
import { LogTally } from "./log-tally.mjs";
import { Operator } from "./operator.mjs";
import { kindsOfDescriptors, measure, processesOf } from "./processes.mjs";

export const WATCHDOG_MS = 5000;
const SUPERVISOR = `watchdog = "${WATCHDOG_MS / 1000}s"`;
/** Before the second measurement: a share of the time, and at most so long. */
const WARM_UP_MS = 60_000;
const LOOK_MS = 1000;
const LOOKS = 5;

/**
 * One run of the product under load, with faults and commands at random moments, from its start to its end.
 *
 *   minutes   how long things are done to it
 *   seed      of all chance
 *   signal    ends it early
 *   say       (text) => void: how far it is
 *
 * Resolves with all that was seen: nothing is judged here.
 */
export async function runSoak({ minutes, seed, signal, say }) {
  const ports = {};
  for (const name of [...NAMES, "extra"]) ports[name] = await freePort();
  const holdfast = await startHoldfast({
    supervisor: SUPERVISOR,
    config: renderConfiguration(initialShape(), ports),
  });
  const soak = new Soak({ holdfast, ports, seed, say });
  try {
    return await soak.run(minutes * 60_000, signal);
  } finally {
    await soak.dispose();
  }
}

class Soak {
  #holdfast;
  #ports;
  #say;
  #operator;
  #faults;
  #tally = new LogTally();
  #reader;
  #loads;
  #views = { logDropped: 0, rss: { keeper: 0, supervisor: 0 } };
  #measured = {};
  #seed;

  constructor({ holdfast, ports, seed, say }) {
    this.#holdfast = holdfast;
    this.#ports = ports;
    this.#say = say;
    const write = (config) => writeConfiguration(holdfast, SUPERVISOR, config);
    this.#operator = new Operator({ holdfast, ports, write, random: randomFrom(seed) });
    this.#faults = new Faults({ holdfast, watchdogMs: WATCHDOG_MS, random: randomFrom(seed + 1) });
    const path = join(holdfast.directory, "flood.log");
    this.#reader = new LogReader({ path, keep: KEPT_LOGS, take: (bytes) => this.#tally.take(bytes) });
    this.#seed = seed;
  }

  async run(forMs, signal) {
    const begun = performance.now();
    this.#loads = await startLoadsProcess({ ports: this.#ports, seed: this.#seed + 2 });
    await this.#rest();
    this.#measured.start = await this.#measure();
    const warmUpMs = Math.min(WARM_UP_MS, forMs / 5);
    this.#say(`warm-up of ${Math.round(warmUpMs / 1000)} s`);
    await this.#operator.stretch();
    await this.#disturb(warmUpMs, signal);
    await this.#rest();
    this.#measured.warm = await this.#measure();
    this.#say(`${Math.round((forMs - warmUpMs) / 1000)} s of faults and commands`);
    await this.#disturb(forMs - warmUpMs, signal);
    this.#say("rest, and the end");
    await this.#rest();
    this.#measured.end = await this.#measure();
    const { totals, failures } = await this.#loads.stop();
    const ranMs = performance.now() - begun;
    const view = await this.#holdfast.answers();
    const plan = await this.#holdfast.get("/v1/plan");
    const end = await this.#end();
    return {
      ...end,
      ranMs,
      loads: totals,
      failures,
      actions: this.#operator.done,
      faults: this.#faults.done,
      supervisor: { starts: view.starts, counters: view.counters },
      changesLeft: plan.changes.length,
      measured: this.#measured,
      highestRss: this.#views.rss,
      log: { tally: this.#tally, dropped: this.#views.logDropped, lostTrack: this.#reader.lostTrack, ...end.log },
      output: this.#holdfast.output,
    };
  }

  async dispose() {
    await this.#loads?.stop();
    await this.#reader.stop();
    await this.#holdfast.dispose();
  }

  async #disturb(ms, signal) {
    // AbortSignal.any would be simpler: in Node 20 what it returns may be collected, and then nothing ends.
    const over = new AbortController();
    const end = () => over.abort();
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    await this.#loads.wake();
    try {
      await Promise.all([this.#operator.run(over.signal), this.#faults.run(over.signal), this.#watch(over.signal)]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      end();
    }
  }

  /** What is only known while it goes on. */
  async #watch(signal) {
    let supervisor;
    let dropped = 0;
    while (!signal.aborted) {
      await pause(LOOK_MS, undefined, { signal }).catch(() => {}); // Aborted: one last look.
      this.#holdfast.remember();
      const now = processesOf(this.#holdfast.keeperPid).supervisor;
      if (now === undefined) continue;
      // Each supervisor counts anew what it drops.
      if (now.pid !== supervisor) dropped = 0;
      supervisor = now.pid;
      const view = await this.#holdfast.get("/v1/services/flood").catch(() => undefined); // It is replaced just now.
      if (view !== undefined) {
        this.#views.logDropped += Math.max(0, view.logDropped - dropped);
        dropped = view.logDropped;
      }
      for (const [name, pid] of [
        ["keeper", this.#holdfast.keeperPid],
        ["supervisor", now.pid],
      ])
        this.#views.rss[name] = Math.max(this.#views.rss[name], measure(pid)?.rss ?? 0);
    }
  }

  /** Everything as in the beginning, and nobody connected to what is started by connections. */
  async #rest() {
    await this.#loads.sleep();
    await this.#operator.restore();
    const idle = async () => (await this.#holdfast.get("/v1/services/demand")).phase === "waiting";
    await until("what is started by a connection is idle", idle, { timeoutMs: 60_000, everyMs: 100 });
  }

  /** The fewest descriptors of some looks: the connection of a question that was just answered is closed a moment later. */
  async #measure() {
    const { keeperPid } = this.#holdfast;
    const { supervisor } = processesOf(keeperPid);
    let fewest;
    for (let look = 0; look < LOOKS; look++) {
      await pause(LOOK_MS / LOOKS);
      const now = { keeper: measure(keeperPid), supervisor: measure(supervisor.pid) };
      const count = now.keeper.descriptors + now.supervisor.descriptors;
      const kinds = { keeper: kindsOfDescriptors(keeperPid), supervisor: kindsOfDescriptors(supervisor.pid) };
      if (fewest === undefined || count < fewest.count) fewest = { ...now, kinds, count };
    }
    const { sockets } = await this.#holdfast.get("/v1/sockets");
    return { ...fewest, lanes: sockets.reduce((sum, { lanes = 0 }) => sum + lanes, 0) };
  }

  async #end() {
    const exit = await this.#holdfast.stop(60_000);
    await this.#reader.stop();
    const written = { done: 0, begun: 0 };
    for (const [pid, count] of this.#counts()) {
      written.done += count.done;
      written.begun += count.begun;
      this.#tally.finish(pid, count.done);
    }
    const open = [];
    for (const [name, port] of Object.entries(this.#ports)) if (await accepts(port)) open.push(name);
    const left = this.#holdfast.left().map(({ pid, name }) => `${name} ${pid}`);
    return { exit, left, open, log: written };
  }

  /** What each worker of `flood` says that it wrote, see bench/workers/logs_steadily.py. */
  *#counts() {
    const { directory } = this.#holdfast;
    for (const name of readdirSync(directory).filter((each) => each.endsWith(".count"))) {
      const path = join(directory, name);
      if (!existsSync(path)) continue;
      const bytes = readFileSync(path);
      if (bytes.length === 16)
        yield [
          Number.parseInt(name, 10),
          { begun: Number(bytes.readBigInt64LE(0)), done: Number(bytes.readBigInt64LE(8)) },
        ];
    }
  }
}
