/** What the programs of the workers, and those who connect to them, may do next. */
import type { Chance } from "./chance.js";
import type { Child, SimulatedKeeper } from "./keeper.js";
import type { Kernel, Program, SimulatedFile } from "./kernel.js";

export interface Happening {
  /** For the story of a failure. */
  readonly what: string;
  readonly happen: () => void;
}

/** As waitpid(2) tells them: 0, 1, 3, SIGSEGV with core, SIGTERM. */
const STATUSES = [0, 1 << 8, 3 << 8, 11 | 0x80, 15] as const;
const SIGKILLED = 9;
const EXEC = 17;
const ENOENT = 2;

export class Programs {
  readonly #kernel: Kernel;
  readonly #keeper: SimulatedKeeper;
  readonly #chance: Chance;
  /** Pids of programs that never become ready, and of those that do nothing about SIGTERM. */
  readonly #hung = new Set<number>();
  readonly #deaf = new Set<number>();

  constructor(kernel: Kernel, keeper: SimulatedKeeper, chance: Chance) {
    this.#kernel = kernel;
    this.#keeper = keeper;
    this.#chance = chance;
  }

  forked({ pid }: Child): void {
    if (this.#chance.percent(8)) this.#hung.add(pid);
    if (this.#chance.percent(10)) this.#deaf.add(pid);
  }

  /** From now on all programs are as they should be, those that hang apart: their time will come. */
  reform(): void {
    for (const pid of this.#deaf) if (this.#kernel.programs.get(pid)?.asked !== true) this.#deaf.delete(pid);
  }

  /** Everything that may happen, good or bad. */
  anything(): Happening[] {
    return this.#kernel
      .alive()
      .flatMap((program) => {
        const child = this.#keeper.childOf(program.pid);
        return [...this.#inevitable(program, child), ...this.#mischief(program, child)];
      })
      .concat(this.#arms());
  }

  /** What programs that behave do in the end. */
  fair(): Happening[] {
    return this.#kernel
      .alive()
      .flatMap((program) => this.#inevitable(program, this.#keeper.childOf(program.pid)))
      .concat(this.#arms());
  }

  #arms(): Happening[] {
    return [...this.#keeper.arms.values()]
      .filter((arm) => this.#keeper.fires(arm))
      .map((arm) => ({ what: `the armed ${arm.key} is fired`, happen: () => this.#keeper.fire(arm) }));
  }

  #inevitable(program: Program, child: Child | undefined): Happening[] {
    const { state, pid } = program;
    const name = nameOf(program);
    if (program.killed)
      return [{ what: `${name} dies of SIGKILL`, happen: () => this.#end(program, child, SIGKILLED) }];
    if (state === "forking" && child !== undefined)
      return [{ what: `${name} is executed`, happen: () => this.#executed(program, child) }];
    const can: Happening[] = [];
    if (program.asked && !this.#deaf.has(pid))
      can.push({ what: `${name} obeys`, happen: () => this.#end(program, child, 0) });
    if (program.inFlight > 0) can.push({ what: `${name} answers`, happen: () => lose(program, "inFlight") });
    else if (program.open > 0) can.push({ what: `${name} loses a connection`, happen: () => lose(program, "open") });
    if (child === undefined || program.asked) return can;
    if (program.service === "migrate") {
      if (!this.#hung.has(pid)) can.push({ what: `${name} completes`, happen: () => this.#end(program, child, 0) });
      return can;
    }
    if (!program.waiting && !this.#hung.has(pid))
      can.push({ what: `${name} waits for its sockets`, happen: () => wait(program) });
    if (!program.announced && !this.#hung.has(pid))
      can.push({ what: `${name} says READY=1`, happen: () => this.#announce(program) });
    const filled = program.waiting ? program.listeners.find(({ listener }) => listener!.queued > 0) : undefined;
    if (filled !== undefined && !(program.quiesced && program.waits === "epoll"))
      can.push({ what: `${name} accepts a connection`, happen: () => accept(program, filled) });
    return can;
  }

  #mischief(program: Program, child: Child | undefined): Happening[] {
    const name = nameOf(program);
    if (program.state === "forking") {
      if (child === undefined || program.killed || !this.#chance.percent(15)) return [];
      return [{ what: `${name} cannot be executed`, happen: () => this.#notExecuted(program, child) }];
    }
    if (!this.#chance.percent(12)) return [];
    const status = this.#chance.of(STATUSES);
    return [{ what: `${name} ends with status ${status}`, happen: () => this.#end(program, child, status) }];
  }

  #executed(program: Program, child: Child): void {
    program.state = "running";
    child.state = "running";
    this.#keeper.changed(child);
  }

  #notExecuted(program: Program, child: Child): void {
    this.#gone(program);
    this.#keeper.failed(child, EXEC, ENOENT);
  }

  #announce(program: Program): void {
    program.announced = true;
    program.notify?.notify?.messages.push({ pid: program.pid });
  }

  /** What it leaves behind is in its session. */
  #end(program: Program, child: Child | undefined, status: number): void {
    this.#gone(program);
    if (child === undefined) return;
    child.state = "exited";
    child.status = status;
    this.#keeper.changed(child);
    if (status === SIGKILLED || !this.#chance.percent(20)) return;
    const pid = this.#kernel.newPid();
    if (this.#chance.percent(50)) this.#deaf.add(pid);
    this.#kernel.programs.set(pid, {
      ...program,
      pid,
      state: "running",
      listeners: [],
      asked: false,
      inFlight: 0,
      open: 0,
      waiting: false,
    });
  }

  #gone(program: Program): void {
    program.state = "dead";
    this.#kernel.programs.delete(program.pid);
    this.#hung.delete(program.pid);
    this.#deaf.delete(program.pid);
  }
}

function lose(program: Program, what: "inFlight" | "open"): void {
  program[what] -= 1;
}

function wait(program: Program): void {
  program.waiting = true;
}

function accept(program: Program, { listener }: SimulatedFile): void {
  listener!.queued -= 1;
  program.inFlight += 1;
  program.open += 1;
  program.seen += 1;
}

function nameOf({ service, slot, worker, pid, session }: Program): string {
  return `${service}/${slot}/${worker}${pid === session ? "" : ` (its child ${pid})`}`;
}
