import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "../lib/proc.mjs";
import { gone } from "../lib/time-answer.mjs";
import { until } from "../lib/until.mjs";
import { Deck } from "./deck.mjs";
import { killWorker, processesOf } from "./processes.mjs";

const CARDS = [
  ...["kill-worker", "kill-worker", "kill-worker", "kill-worker"],
  ...["kill-supervisor", "kill-supervisor", "hang-supervisor", "pause-supervisor"],
];
/** The keeper waits up to 5 s before it starts the next supervisor, and up to a minute until that has attached. */
const NEXT_SUPERVISOR_MS = 120_000;

/** What is done to a running Holdfast behind its back, at random. Each is kept: {kind, at (Date.now()), service?, ports?}. */
export class Faults {
  done = [];
  #holdfast;
  #random;
  #deck;
  #watchdogMs;

  constructor({ holdfast, random, watchdogMs }) {
    this.#holdfast = holdfast;
    this.#random = random;
    this.#watchdogMs = watchdogMs;
    this.#deck = new Deck(CARDS, random);
  }

  /** Until the signal is aborted; what has begun is completed. */
  async run(signal) {
    while (!signal.aborted) {
      await pause(300 + this.#random() * 2500, undefined, { signal }).catch(() => {}); // Aborted: the loop ends.
      if (!signal.aborted) await this.perform(this.#deck.draw());
    }
  }

  async perform(kind) {
    if (kind === "kill-worker") return this.#killWorker();
    // One that hangs before it has attached is replaced after a minute: the tests of the keeper have that.
    if (kind === "hang-supervisor") await this.#holdfast.answers(NEXT_SUPERVISOR_MS);
    const { supervisor } = processesOf(this.#holdfast.keeperPid);
    if (supervisor === undefined) return; // Between two of them.
    const fault = { kind, at: Date.now() };
    if (kind === "pause-supervisor") {
      process.kill(supervisor.pid, "SIGSTOP");
      await pause(this.#random() * 1000);
      if (isAlive(supervisor)) process.kill(supervisor.pid, "SIGCONT");
      this.done.push(fault);
      return;
    }
    process.kill(supervisor.pid, kind === "kill-supervisor" ? "SIGKILL" : "SIGSTOP");
    this.done.push(fault);
    if (kind === "hang-supervisor") {
      await until("the watchdog of the supervisor", () => !isAlive(supervisor), {
        timeoutMs: this.#watchdogMs + NEXT_SUPERVISOR_MS,
        everyMs: 20,
      });
    }
    await gone(supervisor.pid);
    // Mostly the next one is let be until it answers; else it is killed wherever it is.
    if (this.#random() < 0.8) await this.#holdfast.answers(NEXT_SUPERVISOR_MS);
  }

  async #killWorker() {
    const { workers } = processesOf(this.#holdfast.keeperPid);
    const services = [...new Set(workers.map(({ service }) => service))].sort();
    if (services.length === 0) return;
    const service = services[Math.floor(this.#random() * services.length)];
    const own = workers.filter((worker) => worker.service === service);
    const worker = own[Math.floor(this.#random() * own.length)];
    const at = Date.now();
    const ports = await killWorker(worker);
    if (ports !== undefined) this.done.push({ kind: "kill-worker", at, service, pid: worker.pid, ports });
  }
}
