import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { freePort, type RunningHoldfast, startHoldfast } from "../../bench/lib/holdfast.mjs";
import { descendants, isAlive, readProcess } from "../../bench/lib/proc.mjs";
import { until } from "../../bench/lib/until.mjs";
import type { ServiceView } from "../../src/daemon/control/api.js";
import { descriptorCount, processesMarked } from "../integration/census.js";
import { fixture } from "../integration/fixture.js";
import { Clients } from "./clients.js";
import { type RecordLine, readRecord, repeated } from "./record.js";
import { type Attempt, type Outcome, type Script, type ServiceName, services } from "./script.js";

const preload = join(import.meta.dirname, "kill-after-step.cjs");
const template = join(import.meta.dirname, "crash-points");
/** Who is killed after a step of the supervisor. */
export type Victim = "supervisor" | "keeper" | "worker";

interface Before {
  readonly told: number;
  readonly sizes: Record<ServiceName, number>;
}

const settleTimeoutMs = 15_000;
const nothing = { web: 0, api: 0, lazy: 0, stubborn: 0 };
const running = { web: 2, api: 2, stubborn: 1 };

/** One keeper from its start to its end, under requests all the time, and the supervisors that live and die in it. */
export class Life {
  readonly holdfast: RunningHoldfast;
  /** A start may fail with an errno: then the action is asked for once more, and more workers may start and stop than an outcome says. */
  startsMayFail = false;
  /** What is to wait for a connection may be started at once instead: a keeper that cannot watch a socket must not leave it to nobody. It is put back to waiting then. */
  armsMayFail = false;
  readonly #ports: { readonly web: number; readonly lazy: number };
  readonly #mark: string;
  #clients: Clients | undefined;
  #sizes: Record<ServiceName, number> = nothing;
  #descriptors = 0;
  readonly #victim: Victim;
  readonly #endedAgain = new Set<number>();

  private constructor(holdfast: RunningHoldfast, victim: Victim, mark: string, ports: { web: number; lazy: number }) {
    this.holdfast = holdfast;
    this.#victim = victim;
    this.#mark = mark;
    this.#ports = ports;
  }

  /** Boots it; somebody is killed after that many steps of the first supervisor (0: nobody, Infinity: only counted). */
  static async begin(killAfter: number, victim: Victim = "supervisor"): Promise<{ life: Life; boot: Attempt }> {
    const mark = randomBytes(8).toString("hex");
    const ports = { web: await freePort(), lazy: await freePort() };
    const holdfast = await startHoldfast({
      template,
      values: { MARK: mark, WEB: String(ports.web), LAZY: String(ports.lazy), WORKER: fixture("records-itself")[0]! },
      env: { TEST_MARK: mark, NODE_OPTIONS: `--require=${preload}` },
      prepare: (directory) => {
        if (killAfter > 0) writeFileSync(join(directory, "kill-after"), `${killAfter} ${victim}`);
      },
    });
    const life = new Life(holdfast, victim, mark, ports);
    try {
      const targets = [{ host: "127.0.0.1", port: ports.web }, { path: life.#file("api.sock") }];
      life.#clients = new Clients(targets, settleTimeoutMs);
      const boot = await life.#settle({ told: 0, sizes: nothing }, { starts: running, size: running });
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

  /** Lets the script happen, kills somebody after that many steps of the supervisor, checks that the outcome is the same, and undoes it. */
  async attempt(script: Script, killAfter: number): Promise<Attempt> {
    const before = this.#before();
    if (killAfter > 0) writeFileSync(this.#file("kill-after"), `${killAfter} ${this.#victim}`);
    await script.act(this);
    const attempt = await this.#settle(before, script);
    if (script.undo !== undefined) {
      const again = this.#before();
      await script.undo.act(this);
      await this.#settle(again, script.undo);
    }
    // Another keeper begins with other ones: what was given to it, and what it was told to adopt.
    if (attempt.killed && this.#victim === "keeper") this.#descriptors = descriptorCount(this.holdfast.keeperPid!);
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
    const failed = (await this.#clients?.stop()) ?? [];
    if (killAfter > 0) writeFileSync(this.#file("kill-after"), `${killAfter} ${this.#victim}`);
    const exit = await this.holdfast.stop();
    const told = this.#told(before);
    const stopped = told.filter(({ what }) => what === "stop").map(({ pid }) => pid);
    const problems = [
      ...failed,
      ...this.#strangers(),
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
    await this.#clients?.stop();
    await this.holdfast.dispose();
  }

  /** An action whose answer is lost if the supervisor dies; what was begun must go on all the same. */
  async act(service: ServiceName, action: object): Promise<void> {
    try {
      const { result, message } = await this.holdfast.act(service, action);
      const refused = result !== "done" && /step fork failed: .*\(E[A-Z]+\)/.test(message);
      if (this.startsMayFail && refused) return await this.act(service, action);
      if (this.startsMayFail && result === "unchanged") return; // It was started again by itself meanwhile.
      if (result !== "done" && this.#victim !== "worker")
        throw new Error(`${JSON.stringify(action)} of ${service}: ${result}, ${message}`);
    } catch (error) {
      if (!["ECONNRESET", "EPIPE"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  }

  /** A connection to the service that is started by it; resolves once a worker has answered. */
  async activate(): Promise<void> {
    const answer = await text(createConnection({ host: "127.0.0.1", port: this.#ports.lazy }));
    const told = readRecord(this.#file("record")); // It may have ended by now.
    if (!told.some(({ service, pid }) => service === "lazy" && pid === Number(answer))) {
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

  #strangers(): string[] {
    const started = new Set(readRecord(this.#file("record")).map(({ pid }) => pid));
    const answering = [...(this.#clients?.answering ?? [])];
    return answering.filter((pid) => !started.has(pid)).map((pid) => `${pid} answered, which is no worker`);
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
          await this.#followKeeper();
          if (this.armsMayFail && sizes.lazy === 0) this.#armAgain(before);
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

  /** Once its workers have ended by themselves the service waits for a connection. */
  #armAgain(before: Before): void {
    const atOnce = this.#told(before).filter(({ what, service }) => what === "start" && service === "lazy");
    for (const { pid } of atOnce) {
      if (this.#endedAgain.has(pid)) continue;
      this.#endedAgain.add(pid);
      process.kill(pid, "SIGTERM");
    }
  }

  /** Once the keeper was killed, ours is the one in its place. */
  async #followKeeper(): Promise<void> {
    const keeper = this.holdfast.keeperPid!;
    const entry = readProcess(keeper);
    const lives = entry !== undefined && isAlive(entry);
    if (this.#victim === "keeper" && !lives) await this.holdfast.succeeded(keeper);
  }

  async #problems(before: Before, outcome: Outcome, sizes: Record<ServiceName, number>): Promise<string[]> {
    const told = this.#told(before);
    const living = this.#living();
    const counted = services.flatMap((service) =>
      (["start", "stop", "crash"] as const).flatMap((what) => {
        const wanted = { start: outcome.starts, stop: outcome.stops, crash: outcome.crashes }[what]?.[service] ?? 0;
        const count = told.filter((line) => line.service === service && line.what === what).length;
        const isRight = count === wanted || (this.startsMayFail && what !== "crash" && count > wanted);
        return isRight || this.#victim === "worker"
          ? []
          : [`${service} has told ${what} ${count} times, not ${wanted}`];
      }),
    );
    const problems = [...counted, ...repeated(readRecord(this.#file("record"))), ...(this.#clients?.failures() ?? [])];
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
    const workers = living.map(({ pid }) => pid);
    const below = descendants(...workers).map(({ pid }) => pid);
    const ours = new Set([this.holdfast.keeperPid!, supervisor, ...workers, ...below]);
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
}
