import { isAside } from "../../lifecycle/aside.js";
import type { Drain, EpollRegistration, Valve } from "../../lifecycle/drain.js";
import type { Worker, WorkerEvent } from "../../lifecycle/worker.js";
import type { WorkerHandoffs } from "../handoff/worker-handoffs.js";
import type { ServiceSetup } from "../service-setup.js";
import type { ServiceWorld } from "../service-world.js";
import { isExclusive, noteAlso } from "../valve/epoll-registration.js";
import { findValve, rearmed } from "../valve/find-valve.js";
import { nudge, quiesce, resume } from "../valve/turn.js";
import { refusalWords } from "../valve/valve-words.js";
import { closeConnections } from "./close-connections.js";
import { ConnectionWatch, type Counted } from "./connection-watch.js";
import { sharedSockets, valveOf } from "./valve-finder.js";

/** Pauses between two looks at the connections of a worker that drains. */
const FIRST_LOOK_MS = 10;
const LONGEST_LOOK_MS = 100;
/** Whether one that is kept from new connections for a while has added its socket again, or a new process of it has. */
const GUARD_MS = 1_000;
/** While connections are closed one by one, each is to be caught between two requests. */
const CLOSING_LOOK_MS = 5;
/** What it had been woken for before its valve was closed it may still accept: one look says nothing. */
const FEWEST_LOOKS = 2;

export interface DrainsInput {
  readonly setup: () => ServiceSetup;
  readonly world: ServiceWorld;
  readonly find: (worker: number) => Worker | undefined;
  /** Of its whole tree, as far as it is there. */
  readonly pids: (worker: number) => readonly number[];
  readonly handoffs: WorkerHandoffs;
  /** Processes of the workers that go on accepting. */
  readonly others: () => readonly number[];
  readonly emit: (worker: number, event: WorkerEvent) => void;
}

/** The valves of the workers of one service, and their connections while they drain. Decides nothing. */
export class WorkerDrains {
  readonly #o: DrainsInput;
  /** Workers that are looked at, each with its timer. */
  readonly #watches = new Map<number, { readonly stop: () => void }>();
  /** Valves that the keeper is about to close: one that is opened before that is left closed. */
  readonly #closing = new Map<number, Promise<unknown>>();

  constructor(input: DrainsInput) {
    this.#o = input;
  }

  /** What could keep new connections from a worker now. */
  valve(worker: number): Valve {
    // One that retires for being idle, or is unhealthy, must be able to go on: what it is told over its channel is for good.
    const { reason, aside } = this.#o.find(worker) ?? {};
    const told = reason === "idle" || aside !== undefined ? undefined : this.#o.handoffs.valve(worker);
    if (told !== undefined) return told;
    const { sockets } = this.#o.setup();
    const lane = this.#o.find(worker)?.lane;
    return valveOf({ pids: this.#o.pids(worker), sockets, lane }, this.#o.world.sockets);
  }

  findValve(worker: number): void {
    // Later: the machine is still in the step that asked.
    setImmediate(() => this.#o.emit(worker, { type: "valve", valve: this.valve(worker) }));
  }

  /** Closes the valve that the worker's state names, and looks at its connections until it drains no more. */
  close(worker: number): void {
    const valve = this.#drainOf(worker)?.valve;
    if (valve === undefined || valve.kind === "signal") return;
    this.#stop(worker);
    if (valve.kind === "handoff") this.#retire(worker);
    const closed = valve.kind === "epoll" ? this.#quiesce(worker, valve.registrations) : Promise.resolve();
    closed.then(
      () => this.#watch(worker),
      (error: Error) => this.#cannot(worker, error),
    );
  }

  open(worker: number): void {
    const valve = this.#drainOf(worker)?.valve;
    this.#stop(worker);
    const opened = valve?.kind === "epoll" ? this.#resume(worker, valve.registrations) : Promise.resolve();
    opened.then(
      () => this.#o.emit(worker, { type: "reopened" }),
      (error: Error) => this.#complain(worker, `its valve could not be opened again: ${error.message}`, error),
    );
  }

  closeAll(): void {
    for (const worker of this.#watches.keys()) this.#stop(worker);
  }

  #drainOf(worker: number): Drain | undefined {
    return this.#o.find(worker)?.drain;
  }

  async #quiesce(worker: number, registrations: readonly EpollRegistration[]): Promise<void> {
    const asked = quiesce(this.#o.world.keeper, registrations);
    this.#closing.set(worker, asked);
    const results = await asked.finally(() => {
      if (this.#closing.get(worker) === asked) this.#closing.delete(worker);
    });
    const refused = refusalWords(results);
    if (refused !== undefined) throw new Error(refused);
    await this.#nudgeOthers(registrations);
  }

  async #resume(worker: number, registrations: readonly EpollRegistration[]): Promise<void> {
    await this.#closing.get(worker)?.catch(() => {}); // Whoever closes it tells of that.
    await resume(this.#o.world.keeper, registrations);
  }

  /** It is told how long it has; it gives away what others take, finishes what it has, and ends by itself. */
  #retire(worker: number): void {
    const state = this.#o.find(worker)?.state;
    const left = state?.phase === "draining" ? state.deadline - this.#o.world.clock.monotonic() : 0;
    this.#o.handoffs.retire(worker, Math.max(0, left));
  }

  /**
   * Of exclusive registrations the kernel wakes one for each connection. Where that was the one that is closed now, another one has to be told, or the
   * connection waits for the next one to come.
   */
  async #nudgeOthers(closed: readonly EpollRegistration[]): Promise<void> {
    if (!closed.some(isExclusive)) return;
    const sockets = sharedSockets(this.#o.setup().sockets, this.#o.world.sockets);
    await nudge(this.#o.world.keeper, findValve(this.#o.others(), sockets).registrations);
  }

  /** So there is no valve: the machine does without. */
  #cannot(worker: number, error: Error): void {
    this.#complain(worker, `new connections could not be kept from it: ${error.message}`, error);
    this.#o.emit(worker, { type: "valve", valve: { kind: "signal", why: error.message } });
  }

  /** While it is ready and kept from new connections. */
  #guard(worker: number): void {
    const found = this.#o.find(worker);
    if (found === undefined || found.state.phase !== "ready" || !isAside(found)) return this.#stop(worker);
    try {
      this.#quiesceAgain(worker, this.#o.pids(worker));
    } catch (error) {
      this.#complain(worker, `its sockets could not be looked at: ${(error as Error).message}`, error as Error);
    }
    const timer = setTimeout(() => this.#guard(worker), GUARD_MS);
    this.#watches.set(worker, { stop: () => clearTimeout(timer) });
  }

  #watch(worker: number): void {
    if (this.#watches.has(worker)) return;
    if (this.#o.find(worker)?.state.phase === "ready") return this.#guard(worker);
    const { sockets } = this.#o.setup();
    const lane = this.#o.find(worker)?.lane;
    const inodesOf = (some: typeof sockets): readonly bigint[] =>
      some.flatMap((socket) => this.#o.world.sockets.inodes(socket, lane)).map(({ ino }) => ino);
    const own = sockets.filter(({ distribution }) => distribution === "steered");
    const watch = new ConnectionWatch({ listeners: inodesOf(sockets), own: inodesOf(own) });
    let timer: NodeJS.Timeout | undefined;
    let looks = 0;
    let told: Counted | undefined;
    const look = (): void => {
      const found = this.#o.find(worker);
      if (found?.state.phase !== "draining") return this.#stop(worker);
      const counted = this.#look(worker, watch, found.state.closing === true);
      looks += 1;
      const pause = found.state.closing ? CLOSING_LOOK_MS : Math.min(FIRST_LOOK_MS * looks, LONGEST_LOOK_MS);
      timer = setTimeout(look, pause);
      if (counted === undefined || (counted.inFlight === 0 && looks < FEWEST_LOOKS) || same(counted, told)) return;
      told = counted;
      this.#o.emit(worker, { type: "connections", ...counted });
    };
    this.#watches.set(worker, { stop: () => clearTimeout(timer) });
    look();
  }

  #look(worker: number, watch: ConnectionWatch, closing: boolean): Counted | undefined {
    try {
      const pids = this.#o.pids(worker);
      this.#quiesceAgain(worker, pids);
      // Whoever speaks over a channel knows best when it is done: then it ends.
      const { drain } = this.#o.setup().config;
      const speaks = this.#drainOf(worker)?.valve?.kind === "handoff";
      const counted = watch.look(pids, speaks ? { ...drain, waitFor: "connections" } : drain);
      if (!closing) return counted;
      closeConnections(this.#o.world.keeper, pids, watch.closable()).then(
        (inodes) => watch.closed(inodes),
        (error: Error) => this.#complain(worker, `its connections could not be closed: ${error.message}`, error),
      );
      return watch.closing();
    } catch (error) {
      this.#complain(worker, `its connections could not be looked at: ${(error as Error).message}`, error as Error);
      return undefined;
    }
  }

  /** A program may add its socket once more by itself, or a new process of it may. */
  #quiesceAgain(worker: number, pids: readonly number[]): void {
    const valve = this.#drainOf(worker)?.valve;
    if (valve?.kind !== "epoll") return;
    const again = rearmed(pids, sharedSockets(this.#o.setup().sockets, this.#o.world.sockets));
    if (again.length === 0) return;
    const { name } = this.#o.setup().config;
    this.#o.world.log.info(`worker ${worker} of ${name} waits for new connections again: they are kept from it again`);
    // Noted first, so that whoever comes next can undo it.
    this.#o.emit(worker, {
      type: "valve",
      valve: { kind: "epoll", registrations: noteAlso(valve.registrations, again) },
    });
    this.#quiesce(worker, again).catch((error: Error) => this.#cannot(worker, error));
  }

  #stop(worker: number): void {
    this.#watches.get(worker)?.stop();
    this.#watches.delete(worker);
  }

  #complain(worker: number, message: string, error: Error): void {
    this.#o.world.log.error(`worker ${worker} of ${this.#o.setup().config.name}: ${message}`, { error });
  }
}

function same(a: Counted, b: Counted | undefined): boolean {
  return (
    b !== undefined &&
    a.inFlight === b.inFlight &&
    a.seen === b.seen &&
    a.open === b.open &&
    a.waiting === b.waiting &&
    a.closed === b.closed
  );
}
