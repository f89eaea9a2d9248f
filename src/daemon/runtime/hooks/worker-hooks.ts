import type { Hook, HookName, ServiceConfig } from "../../config/config.js";
import type { Worker } from "../../lifecycle/worker.js";
import type { CommandRuns } from "../commands/command-runs.js";
import { keepWords } from "../commands/keep-words.js";
import { makeDirectories } from "../directories/make-directories.js";
import { resolveIdentity } from "../identity.js";
import type { Logger } from "../logger.js";
import type { LogRing } from "../logs/log-ring.js";
import type { ServiceSetup } from "../service-setup.js";
import { hookEnvironment } from "./hook-environment.js";

export interface HooksInput {
  readonly setup: () => ServiceSetup;
  readonly commands: Pick<CommandRuns, "about">;
  readonly ring: LogRing;
  readonly log: Logger;
  readonly find: (worker: number) => Worker | undefined;
  /** `lines`: what the worker's failure keeps of it. */
  readonly over: (worker: number, hook: HookName, ok: boolean, lines: readonly string[]) => void;
}

interface Run {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Runs the hooks of the workers of one service: those of a worker one after the other. Nothing of them outlives the supervisor. */
export class WorkerHooks {
  readonly #o: HooksInput;
  readonly #runs = new Map<number, Run>();
  /** Why a worker that is on its way out has failed to start. */
  readonly #reasons = new Map<number, string>();
  /** The last words of workers whose after_stop runs. */
  readonly #lastLines = new Map<number, readonly string[]>();

  constructor(input: HooksInput) {
    this.#o = input;
  }

  run(worker: number, hook: HookName): void {
    const before = this.#runs.get(worker);
    before?.stop.abort(); // Whoever asks for the next ones waits for these no longer.
    const stop = new AbortController();
    const done = (before?.done ?? Promise.resolve()).then(() => this.#runAll(worker, hook, stop.signal));
    this.#runs.set(worker, { stop, done });
  }

  end(worker: number): void {
    this.#runs.get(worker)?.stop.abort();
  }

  closeAll(): void {
    for (const { stop } of this.#runs.values()) stop.abort();
  }

  /** Why it was ended before it was ready, if that is because of a hook. */
  reason(worker: number): string | undefined {
    return this.#reasons.get(worker);
  }

  /** What it wrote last is asked for once its after_stop is over. */
  keepLines(worker: number, lines: readonly string[]): void {
    if (this.#has("after_stop")) this.#lastLines.set(worker, lines);
  }

  forget(worker: number): void {
    this.#reasons.delete(worker);
    this.#lastLines.delete(worker);
  }

  async #runAll(worker: number, hook: HookName, signal: AbortSignal): Promise<void> {
    const problem = await this.#firstProblem(worker, hook, signal);
    if (this.#runs.get(worker)?.stop.signal === signal) this.#runs.delete(worker);
    if (problem !== undefined && (hook === "before_start" || hook === "after_start"))
      this.#reasons.set(worker, problem);
    const last = hook === "after_stop" ? this.#lastLines.get(worker) : undefined;
    const lines = last ?? (problem === undefined ? [] : [`holdfast: ${problem}`]);
    if (hook === "before_start") this.keepLines(worker, lines);
    this.#o.over(worker, hook, problem === undefined, lines);
  }

  async #firstProblem(worker: number, hook: HookName, signal: AbortSignal): Promise<string | undefined> {
    const service = this.#o.setup().config;
    // What prepares a start finds the folders that the worker will have.
    const lacks = hook === "before_start" ? directoriesProblem(service, this.#o.log) : undefined;
    if (lacks !== undefined) return lacks;
    for (const one of service.hooks?.[hook] ?? []) {
      if (signal.aborted) return `${hook}: ${one.command[0]} was not needed any more`;
      const problem = await this.#runOne(worker, { hook, one, signal });
      // What comes after a stop cleans up: one that fails is no reason to leave out the others.
      if (problem !== undefined && !one.mayFail && hook !== "before_stop" && hook !== "after_stop")
        return `${hook}: ${problem}`;
    }
    return undefined;
  }

  async #runOne(
    id: number,
    { hook, one, signal }: { readonly hook: HookName; readonly one: Hook; readonly signal: AbortSignal },
  ): Promise<string | undefined> {
    const { commands, find, log, ring, setup } = this.#o;
    const service = setup().config;
    const worker = find(id);
    if (worker === undefined) return undefined; // The machine has forgotten it.
    const instance = `${service.name}/${worker.slot}`;
    const { problem, said } = await commands.about(worker, {
      service,
      purpose: hook,
      argv: one.command,
      env: hookEnvironment(worker, hook, service.restart),
      timeoutMs: one.timeoutMs,
      signal,
    });
    keepWords(ring, { service: service.name, instance, worker: id }, said);
    if (problem !== undefined && !signal.aborted) {
      const effect = one.mayFail ? ", as it may" : "";
      const where = { service: service.name, instance, worker: id };
      log.warn(`${hook} of ${instance}${effect}: ${problem}`, { event: "hook-failed", ...where });
    }
    return problem;
  }

  #has(hook: HookName): boolean {
    return (this.#o.setup().config.hooks?.[hook]?.length ?? 0) > 0;
  }
}

function directoriesProblem(service: ServiceConfig, log: Logger): string | undefined {
  try {
    makeDirectories(service, resolveIdentity(service), (words) => log.info(`${service.name}: ${words}`));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
