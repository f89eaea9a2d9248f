import { randomBytes } from "node:crypto";
import { type OwnedFd, pipe } from "../../../ancillary/index.js";
import type { ServiceConfig } from "../../config/config.js";
import type { Worker } from "../../lifecycle/worker.js";
import { eventsOf } from "../child-events.js";
import { buildEnvironment } from "../environment.js";
import { resolveIdentity } from "../identity.js";
import type { Keeper } from "../keeper/keeper-client.js";
import { KeeperError } from "../keeper/keeper-error.js";
import type { ChildRecord, ListedChild, StartRequest } from "../keeper/records.js";
import { launchSettings } from "../launch-settings.js";
import type { Logger } from "../logger.js";
import { PipeReader } from "../logs/pipe-reader.js";
import { devNull } from "../start-plan.js";
import { describeEnd, seconds } from "../words.js";
import { WorkerTree } from "../worker-tree.js";

/** No service has a colon in its name, so no worker's key begins like this. */
export const COMMAND_PREFIX = "command:";
const ENOENT = 2;
const ESRCH = 3;
const SIGKILL = 9;
/** Of what it writes the newest is kept, for the words about a failure. */
const TAIL_CHARACTERS = 4_096;

export interface CommandsInput {
  readonly keeper: Keeper;
  readonly keeperPid: number;
  /** How many supervisors there have been: a key is never used twice. */
  readonly supervisors: number;
  readonly log: Logger;
  readonly configFile: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Pids of all workers, and our own. */
  readonly workers: () => ReadonlySet<number>;
}

/** A command of a service's configuration that runs beside its workers. */
export interface Command {
  readonly service: ServiceConfig;
  /** What it is for, one word: `probe`. */
  readonly purpose: string;
  readonly argv: readonly string[];
  /** On top of what workers of the service get. */
  readonly env: Readonly<Record<string, string>>;
  /** It is killed after so long, with all that it started. */
  readonly timeoutMs: number;
  /** It is killed when this is aborted. */
  readonly signal: AbortSignal;
}

export interface CommandResult {
  /** In words, as in "exited with code 1"; undefined: it exited with code 0. */
  readonly problem: string | undefined;
  /** It was executed. Otherwise the problem says nothing of what it was to find out. */
  readonly ran: boolean;
  /** What it wrote last, stdout and stderr together, trimmed. */
  readonly said: string;
}

interface Run {
  readonly key: string;
  readonly mark: string;
  pid?: number;
  /** Another keeper has started it. */
  readonly adopted?: boolean;
  /** Why it is being killed. */
  killed?: string;
  /** `not-started`: it was not executed, or the keeper did not even take it. */
  readonly ended: (problem: string | undefined, how: "ran" | "not-started") => void;
}

interface CommandTag {
  readonly v: 1;
  readonly invocation: string;
}

/**
 * Commands of services that run for a moment: started by the keeper like a worker (same user, folder, environment, limits; a session of its own; stdin is
 * /dev/null), ended with all that they started. Nothing of one outlives its supervisor: the next one kills what it finds.
 */
export class CommandRuns {
  readonly #o: CommandsInput;
  readonly #runs = new Map<string, Run>();
  /** Of earlier supervisors, by their keys: until nothing of them is left. */
  readonly #leftOvers = new Map<string, Promise<void>>();
  #last = 0;

  constructor(input: CommandsInput) {
    this.#o = input;
  }

  /** Of those that run, with nothing of what they started. */
  get pids(): readonly number[] {
    return [...this.#runs.values()].flatMap(({ pid }) => pid ?? []);
  }

  /** Resolves once nothing of it is left. It does not reject: that it cannot be started is a problem like others. */
  async run(command: Command): Promise<CommandResult> {
    this.#last += 1;
    const { service, purpose } = command;
    const key = `${COMMAND_PREFIX}${service.name}/${purpose}/${this.#o.supervisors}.${this.#last}`;
    let ends: [OwnedFd, OwnedFd];
    try {
      ends = pipe();
    } catch (error) {
      return { problem: notStarted(error), ran: false, said: "" }; // We have no descriptors left.
    }
    const [output, input] = ends;
    let said = "";
    const reader = new PipeReader(
      output,
      (chunk) => {
        said = (said + chunk.toString()).slice(-TAIL_CHARACTERS);
      },
      () => {},
    );
    if (this.#leftOvers.size > 0) await this.#leftOversOf(service.name);
    const { problem, ran } = await this.#runToEnd(key, command, input);
    input.close();
    reader.takeRest(TAIL_CHARACTERS);
    reader.close();
    return { problem, ran, said: said.trim() };
  }

  /** What an earlier supervisor has left running, before anything else of it is told. */
  adopt(children: readonly ListedChild[]): void {
    for (const child of children) this.hear(child, child.tag);
  }

  /** What an earlier supervisor ran of this service is over before anything of the same kind is run again. */
  async #leftOversOf(service: string): Promise<void> {
    const its = [...this.#leftOvers].filter(([key]) => key.startsWith(`${COMMAND_PREFIX}${service}/`));
    await Promise.all(its.map(([, over]) => over));
  }

  /** Nobody waits for any of them any more: the keeper is to end. */
  close(): void {
    for (const run of this.#runs.values()) this.#kill(run, "was cut short: everything is stopped");
  }

  /** The same for a command that is about one worker, which its environment names. The problem has the command's name and its last line. */
  async about(worker: Worker, command: Omit<Command, "env"> & Partial<Pick<Command, "env">>): Promise<CommandResult> {
    const env = {
      ...(worker.pid === undefined ? {} : { MAINPID: String(worker.pid) }),
      HOLDFAST_WORKER: `${command.service.name}/${worker.slot}`,
      HOLDFAST_GENERATION: String(worker.id),
      ...command.env,
    };
    const { problem, ran, said } = await this.run({ ...command, env });
    const line = said.split("\n").at(-1);
    return { problem: problem && `${command.argv[0]} ${problem}${line ? `: ${line}` : ""}`, ran, said };
  }

  #runToEnd(key: string, command: Command, output: OwnedFd): Promise<Omit<CommandResult, "said">> {
    const { timeoutMs, signal } = command;
    const invocation = randomBytes(16).toString("hex");
    return new Promise((resolve) => {
      const run: Run = {
        key,
        mark: markOf(invocation),
        ended: (problem, how) => {
          clearTimeout(timer);
          signal.removeEventListener("abort", abort);
          this.#runs.delete(key);
          resolve({ problem, ran: how === "ran" });
        },
      };
      const timer = setTimeout(() => this.#kill(run, `was not done within ${seconds(timeoutMs)}`), timeoutMs);
      const abort = (): void => this.#kill(run, "was not needed any more");
      signal.addEventListener("abort", abort);
      this.#runs.set(key, run);
      try {
        this.#start(run, command, { invocation, output });
        if (signal.aborted) abort();
      } catch (error) {
        run.ended(notStarted(error), "not-started");
      }
    });
  }

  /** The keeper's news of one. True if it is a command's. */
  hear(record: ChildRecord, tag: Buffer): boolean {
    if (!record.key.startsWith(COMMAND_PREFIX)) return false;
    const run = this.#runs.get(record.key) ?? this.#inherited(record, tag);
    for (const event of eventsOf(record)) {
      if (event.type === "started") run.pid = event.pid;
      if (event.type === "exited") void this.#over(run, run.killed ?? problemOf(describeEnd(event.end)), "ran");
      if (event.type === "start-failed") {
        const { stage, errno } = event;
        void this.#over(run, run.killed ?? describeEnd({ kind: "not-started", stage, errno }), "not-started");
      }
    }
    if (run.killed !== undefined && record.state === "running") this.#killTree(run);
    return true;
  }

  #start(
    run: Run,
    { service, argv, env: own }: Command,
    { invocation, output }: { readonly invocation: string; readonly output: OwnedFd },
  ): void {
    const { configFile, environment, keeper } = this.#o;
    const env = {
      ...buildEnvironment({ service, own: environment, identity: resolveIdentity(service) }),
      HOLDFAST_SERVICE: service.name,
      ...own,
      INVOCATION_ID: invocation,
    };
    const settings = launchSettings({ service, command: argv, env, configFile });
    const tag: CommandTag = { v: 1, invocation };
    using stdin = devNull("r");
    const request: StartRequest = {
      key: run.key,
      tag: Buffer.from(JSON.stringify(tag)),
      ...settings,
      addListenPid: false,
      addWatchdogPid: false,
      map: [
        { target: 0, from: { frame: 0 } },
        { target: 1, from: { frame: 1 } },
        { target: 2, from: { frame: 1 } },
      ],
      keep: [],
    };
    keeper.spawn(request, [stdin, output]).catch((error: Error) => run.ended(notStarted(error), "not-started"));
  }

  /** One that an earlier supervisor had started: nobody waits for its end. */
  #inherited({ key, adopted }: ChildRecord, tag: Buffer): Run {
    const { invocation } = JSON.parse(tag.toString()) as CommandTag;
    let settle = (): void => {};
    const over = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const run: Run = {
      key,
      mark: markOf(invocation),
      adopted,
      killed: "was of an earlier supervisor",
      ended: () => {
        this.#runs.delete(key);
        this.#leftOvers.delete(key);
        settle();
      },
    };
    this.#runs.set(key, run);
    this.#leftOvers.set(key, over);
    return run;
  }

  #kill(run: Run, why: string): void {
    run.killed ??= why;
    if (run.pid !== undefined) return this.#killTree(run);
    // One that has not executed yet; otherwise it is met when it has.
    this.#ask(run, this.#o.keeper.signal(run.key, SIGKILL));
  }

  #killTree(run: Run): void {
    this.#tree(run, true)
      .kill()
      .catch((error: Error) => this.#complain(run, error));
  }

  /** Its own process was reaped. What it has left behind ends with it. */
  async #over(run: Run, problem: string | undefined, how: "ran" | "not-started"): Promise<void> {
    try {
      if (run.pid !== undefined) await this.#tree(run, false).kill();
    } catch (error) {
      this.#complain(run, error as Error);
    }
    this.#ask(run, this.#o.keeper.acknowledge(run.key));
    run.ended(problem, how);
  }

  #tree({ pid, mark, adopted = false }: Run, withMain: boolean): WorkerTree {
    const { keeperPid, workers } = this.#o;
    return new WorkerTree(() => {
      const except = new Set([...workers(), ...this.pids]);
      except.delete(pid!);
      return { ...(withMain ? { mainPid: pid! } : {}), session: pid!, mark, keeperPid, adopted, except };
    });
  }

  #ask(run: Run, asked: Promise<void>): void {
    asked.catch((error: Error) => {
      if (error instanceof KeeperError && [ENOENT, ESRCH].includes(error.errno)) return;
      this.#complain(run, error);
    });
  }

  #complain({ key }: Run, error: Error): void {
    this.#o.log.error(`${key}: ${error.message}`, { error });
  }
}

function notStarted(error: unknown): string {
  return `could not be started: ${(error as Error).message}`;
}

function markOf(invocation: string): string {
  return `INVOCATION_ID=${invocation}`;
}

function problemOf(end: string): string | undefined {
  return end === "exited with code 0" ? undefined : end;
}
