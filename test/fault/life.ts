import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { freePort, type RunningHoldfast, startHoldfast } from "../../bench/lib/holdfast.mjs";
import { isAlive, readProcess } from "../../bench/lib/proc.mjs";
import { until } from "../../bench/lib/until.mjs";
import { startLoad } from "../../bench/load.mjs";
import type { ServiceView } from "../../src/daemon/control/api.js";
import { descriptorCount, processesMarked } from "../integration/census.js";
import { fixture } from "../integration/fixture.js";
import { type RecordLine, readRecord, repeated } from "./record.js";

const preload = join(import.meta.dirname, "kill-after-step.cjs");
const template = join(import.meta.dirname, "crash-points");
const services = ["web", "api", "lazy"] as const;
export type ServiceName = (typeof services)[number];
type PerService = Partial<Record<ServiceName, number>>;

/** What a script leads to, however often the supervisor dies meanwhile. Services that are not named do not change. */
export interface Outcome {
  /** Workers that are started, in all. */
  readonly starts?: PerService;
  /** Workers that are asked to stop, each once. */
  readonly stops?: PerService;
  readonly crashes?: PerService;
  /** How many workers run afterwards, all of them ready. */
  readonly size?: PerService;
}

/** Something that happens to a running Holdfast, and what undoes it. */
export interface Script extends Outcome {
  readonly name: string;
  readonly act: (life: Life) => Promise<void>;
  readonly undo?: Outcome & { readonly act: (life: Life) => Promise<void> };
}

/** What became of one script during which the supervisor was to be killed. */
export interface Attempt {
  readonly killed: boolean;
  /** What the supervisor did while the script ran, the killed one to its end. */
  readonly steps: readonly string[];
}

interface Before {
  readonly told: number;
  readonly sizes: Record<ServiceName, number>;
}

const settleTimeoutMs = 15_000;
const running = { web: 2, api: 2, lazy: 0 };

/** One keeper from its start to its end, under requests all the time, and the supervisors that live and die in it. */
export class Life {
  readonly holdfast: RunningHoldfast;
  readonly #ports: { readonly web: number; readonly lazy: number };
  readonly #mark: string;
  #loads: ReturnType<typeof startLoad>[] = [];
  #answering = new Set<number>();
  #sizes: Record<ServiceName, number> = running;
  #descriptors = 0;

  private constructor(holdfast: RunningHoldfast, mark: string, ports: { web: number; lazy: number }) {
    this.holdfast = holdfast;
    this.#mark = mark;
    this.#ports = ports;
  }

  /** Boots it; the first supervisor is killed after that many steps (0: not at all, Infinity: only counted). */
  static async begin(killAfter: number): Promise<{ life: Life; boot: Attempt }> {
    const mark = randomBytes(8).toString("hex");
    const ports = { web: await freePort(), lazy: await freePort() };
    const holdfast = await startHoldfast({
      template,
      values: { MARK: mark, WEB: String(ports.web), LAZY: String(ports.lazy), WORKER: fixture("records-itself")[0]! },
      env: { TEST_MARK: mark, NODE_OPTIONS: `--require=${preload}` },
      prepare: (directory) => {
        if (killAfter > 0) writeFileSync(join(directory, "kill-after"), String(killAfter));
      },
    });
    const life = new Life(holdfast, mark, ports);
    try {
      life.#startLoads();
      const before = { told: 0, sizes: { web: 0, api: 0, lazy: 0 } };
      const boot = await life.#settle(before, { starts: { web: 2, api: 2 }, size: { web: 2, api: 2 } });
      life.#descriptors = descriptorCount(holdfast.keeperPid!);
      return { life, boot };
    } catch (error) {
      await life.abandon();
      throw error;
    }
  }

  /** How many descriptors the keeper has open when everything is as after the boot. */
  get descriptors(): number {
    return this.#descriptors;
  }

  /** Lets the script happen, kills the supervisor after that many steps, checks that the outcome is the same, and undoes it. */
  async attempt(script: Script, killAfter: number): Promise<Attempt> {
    const before = this.#before();
    if (killAfter > 0) writeFileSync(this.#file("kill-after"), String(killAfter));
    await script.act(this);
    const attempt = await this.#settle(before, script);
    if (script.undo !== undefined) {
      const again = this.#before();
      await script.undo.act(this);
      await this.#settle(again, script.undo);
    }
    await until(
      `the keeper has ${this.#descriptors} descriptors again after ${script.name}`,
      () => descriptorCount(this.holdfast.keeperPid!) === this.#descriptors,
    );
    return attempt;
  }

  /** SIGTERM to the keeper, and the census. */
  async end(killAfter: number): Promise<Attempt> {
    const before = this.#before();
    const living = this.#living();
    const failed = await this.#stopLoads();
    if (killAfter > 0) writeFileSync(this.#file("kill-after"), String(killAfter));
    const exit = await this.holdfast.stop();
    const told = this.#told(before);
    const stopped = told.filter(({ what }) => what === "stop").map(({ pid }) => pid);
    const problems = [
      ...failed,
      ...(exit.code === 0 ? [] : [`it exited with ${exit.code ?? exit.signal}`]),
      ...told.filter(({ what }) => what !== "stop").map((line) => `${line.what} of ${line.instance} at the end`),
      ...repeated(told),
      ...living.filter(({ pid }) => !stopped.includes(pid)).map(({ instance }) => `${instance} was not asked to stop`),
      ...processesMarked(`TEST_MARK=${this.#mark}`).map((name) => `left: ${name}`),
      ...["control.sock", "api.sock"].filter((name) => existsSync(this.#file(name))).map((name) => `left: ${name}`),
    ];
    const attempt = this.#taken();
    if (problems.length > 0) throw new Error(`${problems.join("; ")}\n${this.holdfast.output}`);
    await this.holdfast.dispose();
    return attempt;
  }

  /** After a failure: ends whatever is left. */
  async abandon(): Promise<void> {
    await this.#stopLoads();
    await this.holdfast.dispose();
  }

  /** An action whose answer is lost if the supervisor dies; what was begun must go on all the same. */
  async act(service: ServiceName, action: object): Promise<void> {
    try {
      const { result, message } = await this.holdfast.act(service, action);
      if (result !== "done") throw new Error(`${JSON.stringify(action)} of ${service}: ${result}, ${message}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
    }
  }

  /** A connection to the service that is started by it; resolves once a worker has answered. */
  async activate(): Promise<void> {
    const answer = await text(createConnection({ host: "127.0.0.1", port: this.#ports.lazy }));
    if (!this.#living().some(({ service, pid }) => service === "lazy" && pid === Number(answer))) {
      throw new Error(`lazy was answered by ${answer || "nobody"}`);
    }
  }

  /** The worker of the instance. */
  worker(instance: string): number {
    const found = this.#living().find((line) => line.instance === instance);
    if (found === undefined) throw new Error(`${instance} has no worker`);
    return found.pid;
  }

  #file(name: string): string {
    return join(this.holdfast.directory, name);
  }

  #before(): Before {
    return { told: readRecord(this.#file("record")).length, sizes: this.#sizes };
  }

  #told({ told }: Before): RecordLine[] {
    return readRecord(this.#file("record")).slice(told);
  }

  /** Workers that have started and still run. */
  #living(): RecordLine[] {
    return readRecord(this.#file("record")).filter(({ what, pid }) => {
      const entry = what === "start" ? readProcess(pid) : undefined;
      return entry !== undefined && isAlive(entry);
    });
  }

  /** Waits until the outcome is there and nothing else, with the kill before or without it. */
  async #settle(before: Before, outcome: Outcome): Promise<Attempt> {
    const sizes = { ...before.sizes, ...outcome.size };
    await this.#until(before, outcome, sizes);
    rmSync(this.#file("kill-after"), { force: true });
    await this.#until(before, outcome, sizes); // It may have been killed at the last moment.
    this.#sizes = sizes;
    return this.#taken();
  }

  async #until(before: Before, outcome: Outcome, sizes: Record<ServiceName, number>): Promise<void> {
    let problems: string[] = [];
    try {
      await until(
        "everything is settled",
        async () => {
          problems = await this.#problems(before, outcome, sizes);
          return problems.length === 0;
        },
        { timeoutMs: settleTimeoutMs, everyMs: 10 },
      );
    } catch (cause) {
      const { steps } = this.#taken();
      throw new Error(`${problems.join("; ")}\nsteps: ${steps.join(", ")}\n${this.holdfast.output}`, { cause });
    }
  }

  async #problems(before: Before, outcome: Outcome, sizes: Record<ServiceName, number>): Promise<string[]> {
    const told = this.#told(before);
    const living = this.#living();
    const counted = services.flatMap((service) =>
      (["start", "stop", "crash"] as const).flatMap((what) => {
        const wanted = { start: outcome.starts, stop: outcome.stops, crash: outcome.crashes }[what]?.[service] ?? 0;
        const count = told.filter((line) => line.service === service && line.what === what).length;
        return count === wanted ? [] : [`${service} has told ${what} ${count} times, not ${wanted}`];
      }),
    );
    const problems = [...counted, ...repeated(readRecord(this.#file("record"))), ...this.#failures()];
    if (problems.length > 0) return problems; // There is no need to look further, and looking costs the supervisor time.
    let views: ServiceView[];
    let supervisor: number;
    try {
      views = (await this.holdfast.get("/v1/services")).services;
      supervisor = (await this.holdfast.get("/v1/supervisor")).pid;
    } catch (error) {
      return [(error as Error).message];
    }
    for (const { name, workers } of views) {
      const pids = workers.filter(({ phase }) => phase === "ready").map(({ pid }) => pid!);
      const known = living.filter(({ service }) => service === name).map(({ pid }) => pid);
      const wanted = sizes[name as ServiceName];
      if (pids.length !== wanted || workers.length !== wanted) problems.push(`${name}: ${JSON.stringify(workers)}`);
      if (String(pids.sort()) !== String(known.sort())) problems.push(`${name} has ${pids}, of which ${known} run`);
    }
    const all = processesMarked(`TEST_MARK=${this.#mark}`).map((entry) => Number.parseInt(entry, 10));
    const ours = new Set([this.holdfast.keeperPid!, supervisor, ...living.map(({ pid }) => pid)]);
    if (all.some((pid) => !ours.has(pid))) problems.push(`processes ${all}, known ${[...ours]}`);
    return problems;
  }

  #taken(): Attempt {
    const killed = existsSync(this.#file("killed"));
    const steps = existsSync(this.#file("steps")) ? readFileSync(this.#file("steps"), "utf8").split("\n") : [];
    rmSync(this.#file("killed"), { force: true });
    rmSync(this.#file("steps"), { force: true });
    return { killed, steps: steps.slice(0, -1) };
  }

  #startLoads(): void {
    const targets = [{ host: "127.0.0.1", port: this.#ports.web }, { path: this.#file("api.sock") }];
    this.#loads = targets.map((target) =>
      startLoad({
        target,
        protocol: "line",
        rate: 40,
        timeoutMs: settleTimeoutMs,
        durationMs: 300_000,
        onAnswer: (pid) => this.#answering.add(Number(pid)),
      }),
    );
  }

  #failures(): string[] {
    const results = this.#loads.map((load) => load.result());
    return results.flatMap(({ outcomes, errors }) => {
      const failed = Object.entries(outcomes).filter(([outcome, count]) => outcome !== "answered" && count > 0);
      return failed.length === 0 ? [] : [`requests failed: ${JSON.stringify([failed, errors])}`];
    });
  }

  async #stopLoads(): Promise<string[]> {
    await Promise.all(this.#loads.map((load) => load.stop()));
    const failures = this.#failures();
    this.#loads = [];
    const started = new Set(readRecord(this.#file("record")).map(({ pid }) => pid));
    const strangers = [...this.#answering].filter((pid) => !started.has(pid));
    return [...failures, ...strangers.map((pid) => `${pid} answered, which is no worker`)];
  }
}
