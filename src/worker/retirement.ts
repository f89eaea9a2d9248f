import type { OwnedFd } from "../ancillary/index.js";
import { adoptedEnded } from "./adopted-connections.js";
import { endProcess } from "./process-end.js";
import type { GiveAway, Serving } from "./serving.js";
import { type RetireOrder, WorkerSession } from "./session.js";

/** What a program is told when it is to finish. */
export interface Retirement {
  /** After so long what is left is closed. */
  readonly deadlineMs: number;
  /** Whether `leave` may find somebody who takes a connection. */
  readonly handOver: boolean;
}

export interface ServedServer {
  readonly serving: Serving;
  readonly deadlineMs: number;
  readonly lingerMs: number;
  readonly handOver: boolean;
  readonly exit: boolean;
}

const DEFAULT_DEADLINE_MS = 30_000;

/** What of this process has to finish before it can end. There is one of it, and it happens once. */
export class Finish {
  static #current: Finish | undefined;
  readonly #session = WorkerSession.current;
  readonly #servers = new Set<ServedServer>();
  readonly #listeners = new Set<(retirement: Retirement) => unknown>();
  /** What is waited for. It grows: servers and listeners may come while others finish. */
  readonly #unfinished: Promise<unknown>[] = [];
  #begun: Promise<void> | undefined;
  #isFinished: () => void = () => {};
  readonly finished = new Promise<void>((resolve) => {
    this.#isFinished = resolve;
  });
  #retirement: Retirement | undefined;
  #deadlineAt = 0;
  /** Resolves at the deadline. */
  #late: Promise<void> | undefined;

  private constructor() {
    this.#session.onRetireOrder((order) => void this.begin(order));
  }

  static get current(): Finish {
    Finish.#current ??= new Finish();
    return Finish.#current;
  }

  /** Before a signal or an order undefined. */
  get retirement(): Retirement | undefined {
    return this.#retirement;
  }

  /** A server that comes during the retirement is drained at once, and waited for. */
  add(served: ServedServer): void {
    this.#servers.add(served);
    if (this.#retirement !== undefined) this.#drain(served, this.#retirement);
  }

  /** Called at once if it has begun already. What it returns is waited for, until the deadline. */
  onRetire(listener: (retirement: Retirement) => unknown): void {
    this.#listeners.add(listener);
    if (this.#retirement !== undefined) this.#tell(listener, this.#retirement);
  }

  /** Resolves when all is finished; the process ends then, if a server of it asks for that. Later orders change nothing. */
  begin(order: RetireOrder): Promise<void> {
    this.#begun ??= this.#run(order);
    return this.#begun;
  }

  async #run({ deadlineMs: ordered, handOver }: RetireOrder): Promise<void> {
    const own = [...this.#servers].map((served) => served.deadlineMs);
    const deadlineMs = ordered ?? (own.length === 0 ? DEFAULT_DEADLINE_MS : Math.max(...own));
    const retirement = { deadlineMs, handOver: handOver && this.#session.channel?.open === true };
    this.#retirement = retirement;
    this.#deadlineAt = performance.now() + deadlineMs;
    this.#session.retires();
    this.#session.keepAlive(true);
    this.#late = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
    for (const listener of [...this.#listeners]) this.#tell(listener, retirement);
    for (const served of [...this.#servers]) this.#drain(served, retirement);
    do {
      await Promise.all(this.#unfinished.splice(0));
      // Connections that no server knows, and those that the listeners got back.
      await adoptedEnded(Math.max(0, this.#deadlineAt - performance.now()));
    } while (this.#unfinished.length > 0);
    this.#session.channel?.send({ type: "left" });
    await Promise.race([this.#session.channel?.flushed(), this.#late]);
    this.#session.keepAlive(false);
    this.#isFinished();
    await Promise.resolve(); // Whoever waits for it has its turn.
    if ([...this.#servers].some(({ exit }) => exit)) endProcess(0);
  }

  #tell(listener: (retirement: Retirement) => unknown, retirement: Retirement): void {
    const told = (async () => listener(retirement))();
    this.#unfinished.push(Promise.race([told, this.#late]));
  }

  #drain({ serving, lingerMs, handOver }: ServedServer, retirement: Retirement): void {
    const deadlineMs = Math.max(0, this.#deadlineAt - performance.now());
    const giveAway: GiveAway = (fd, socket) => this.#giveAway(fd, socket);
    const taken = retirement.handOver && handOver ? { giveAway } : {};
    this.#unfinished.push(serving.drain({ deadlineMs, lingerMs, ...taken }));
  }

  async #giveAway(fd: OwnedFd, socket: string): Promise<OwnedFd | undefined> {
    const { left } = this.#session;
    if (left === undefined) return fd;
    const outcome = await left.leave({ kind: keptAliveKind(socket), socket }, new Uint8Array(0), fd);
    return outcome.taken ? undefined : outcome.fd;
  }
}

/** The kind of a plain HTTP/1 connection between two requests that was accepted on this socket. */
export function keptAliveKind(socket: string): string {
  return `http:${socket}`;
}
