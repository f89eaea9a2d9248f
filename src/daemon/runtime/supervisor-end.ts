import type { AllServices } from "./all-services.js";
import type { EventLog } from "./event-log.js";
import type { Logger } from "./logger.js";
import { signalName } from "./words.js";

const SIGHUP = 1;
const SIGINT = 2;
const SIGQUIT = 3;
const SIGTERM = 15;
/** How long workers may finish what they have in hand at the end of everything, and what they have left behind may take after that: whoever asked for it waits, and perhaps not for long (`docker stop`: 10 s). */
const LAST_DRAIN_MS = 3_000;

export interface EndInput {
  readonly services: AllServices;
  readonly log: Logger;
  readonly events: EventLog;
  /** Resolves when no apply is under way. */
  readonly idle: () => Promise<void>;
  /** Everything is stopped, or nobody is to wait for it any more: holdfast ends, with this exit code. */
  readonly leave: (exitCode: number) => Promise<void>;
}

/** The end of everything, which a signal to the keeper asks for. */
export class SupervisorEnd {
  readonly #o: EndInput;
  #signals: readonly number[] = [];
  #exitCode: number | undefined;

  constructor(input: EndInput) {
    this.#o = input;
  }

  /** Nothing is to be begun any more. */
  get isAsked(): boolean {
    return this.#exitCode !== undefined;
  }

  /** What holdfast exits with once it has stopped; undefined: nobody has asked for the end. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Those that the keeper has told. */
  get signals(): readonly number[] {
    return this.#signals;
  }

  signalled(signals: readonly number[]): void {
    this.#signals = [...this.#signals, ...signals];
    for (const signal of signals) {
      if (signal === SIGTERM || signal === SIGINT || signal === SIGQUIT) void this.#end(signal);
      else if (signal === SIGHUP && process.stdout.isTTY)
        void this.#end(signal); // The terminal was closed.
      else this.#o.log.warn(`${signalName(signal)} has no meaning for this version of holdfast; nothing was done`);
    }
  }

  /** Stops every service, then the keeper. A second signal kills what is left; a third one does not even wait for its end. */
  async #end(signal: number): Promise<void> {
    const { services, log, events, idle, leave } = this.#o;
    if (this.#exitCode !== undefined && this.#exitCode > 0) return leave(this.#exitCode);
    if (this.#exitCode === 0) {
      this.#exitCode = 128 + signal;
      log.warn(`${signalName(signal)} again: what is left is killed`);
      services.kill();
      return;
    }
    this.#exitCode = 0;
    const running = services.pids().length;
    log.info(`${signalName(signal)}: stopping ${running} ${running === 1 ? "worker" : "workers"}`);
    events.add({ type: "supervisor-stopping", message: `stopping because of ${signalName(signal)}` });
    await services.stop(LAST_DRAIN_MS);
    await idle(); // Its services were stopped with all others, so it does not go on.
    await services.leftBehind.end(LAST_DRAIN_MS);
    await leave(this.#exitCode);
  }
}
