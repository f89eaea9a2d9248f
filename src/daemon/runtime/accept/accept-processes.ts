import { KeeperError } from "../keeper/keeper-error.js";
import type { ChildRecord } from "../keeper/records.js";
import type { ServiceWorld } from "../service-world.js";
import { signalNumber } from "../words.js";
import { WorkerTree } from "../worker-tree.js";

const ENOENT = 2;
const ESRCH = 3;
const SIGKILL = 9;
/** Until the keeper is told to forget a process that has ended well. */
const FORGOTTEN_WITHIN_MS = 200;

interface Running {
  readonly key: string;
  readonly pid: number;
  /** What tells its tree. */
  readonly mark: string;
  readonly adopted: boolean;
}

/** The processes of a service's connections, by their numbers: signals for them, their ends with all that they started, and that the keeper may forget them. */
export class AcceptProcesses {
  readonly #world: Pick<ServiceWorld, "keeper" | "keeperPid" | "knownPids">;
  readonly #complain: (what: string, error: Error) => void;
  readonly #running = new Map<number, Running>();
  /** Whose own process has ended, and something of its tree has not. */
  readonly #sweeping = new Set<number>();
  /** Keys that the keeper is to be told to forget. */
  readonly #forgotten: string[] = [];
  #forgetting: NodeJS.Timeout | undefined;

  constructor(
    world: Pick<ServiceWorld, "keeper" | "keeperPid" | "knownPids">,
    complain: (what: string, error: Error) => void,
  ) {
    this.#world = world;
    this.#complain = complain;
  }

  started(number: number, running: Running): void {
    this.#running.set(number, running);
  }

  ended(number: number): void {
    this.#running.delete(number);
  }

  signal(numbers: readonly number[], signal: number): void {
    for (const key of numbers.flatMap((number) => this.#running.get(number)?.key ?? []))
      this.#send("signal", this.#world.keeper.signal(key, signal));
  }

  /** Resolves with how many of all got it. */
  async signalAll(signal: number): Promise<number> {
    const sent = await Promise.allSettled(
      [...this.#running.values()].map(({ key }) => this.#world.keeper.signal(key, signal)),
    );
    return sent.filter(({ status }) => status === "fulfilled").length;
  }

  kill(numbers: readonly number[]): void {
    this.signal(numbers, SIGKILL);
    for (const running of numbers.flatMap((number) => this.#running.get(number) ?? []))
      this.#treeOf(running)
        .kill()
        .catch((error: Error) => this.#complain("kill", error));
  }

  /** Of one whose own process was reaped: the rest of its tree gets the signal. `over` is called once, when nothing of that is left. */
  sweep(number: number, signal: string, over: () => void): void {
    if (this.#sweeping.has(number)) return; // Told again.
    const running = this.#running.get(number);
    const tree = running && this.#treeOf(running);
    if (tree === undefined || tree.isEmpty()) return over();
    this.#sweeping.add(number);
    const swept = signal === "SIGKILL" ? tree.kill() : tree.tell(signalNumber(signal) ?? 0);
    swept
      .catch((error: Error) => this.#complain("end what is left of a process", error))
      .finally(() => {
        this.#sweeping.delete(number);
        over();
      });
  }

  killAll(): void {
    this.kill([...this.#running.keys()]);
  }

  /** What has ended well is acknowledged together with others: each answer of the keeper wakes this process. */
  forget({ key, state, status }: ChildRecord): void {
    this.#forgotten.push(key);
    if (state !== "exited" || status !== 0) return this.forgetAll();
    this.#forgetting ??= setTimeout(() => this.forgetAll(), FORGOTTEN_WITHIN_MS);
  }

  /** At once, whatever waits for others. */
  forgetAll(): void {
    clearTimeout(this.#forgetting);
    this.#forgetting = undefined;
    for (const key of this.#forgotten.splice(0)) this.#send("acknowledge", this.#world.keeper.acknowledge(key));
  }

  #treeOf({ pid, mark, adopted }: Running): WorkerTree {
    const { keeperPid, knownPids } = this.#world;
    return new WorkerTree(() => {
      const except = knownPids();
      except.delete(pid);
      return { session: pid, mark, keeperPid, adopted, except };
    });
  }

  #send(what: string, asked: Promise<void>): void {
    asked.catch((error: Error) => {
      if (error instanceof KeeperError && [ENOENT, ESRCH].includes(error.errno)) return;
      this.#complain(what, error);
    });
  }
}
