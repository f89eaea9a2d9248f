import type { EpollRegistration } from "../lifecycle/drain.js";
import type { Monotonic } from "../lifecycle/end.js";
import type { Clock } from "./clock.js";
import type { EventLog } from "./event-log.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";
import type { Logger } from "./logger.js";
import { noteAlso } from "./valve/epoll-registration.js";
import { findValve, type HeldSocket, rearmed } from "./valve/find-valve.js";
import { quiesce, resume } from "./valve/turn.js";
import { refusalWords, valveWords } from "./valve/valve-words.js";

const PREFIX = "pause/";
/** How soon a worker that has begun to wait for the socket since is seen. */
const LOOK_MS = 50;
/** Until the end of a pause that could not be carried out is tried again. */
const RETRY_MS = 1_000;

export interface PausesInput {
  readonly keeper: Keeper;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventLog;
  /** Processes that may accept from a socket now; what is about to end is not among them, and keeps its valve closed. */
  readonly acceptors: (socket: string) => readonly number[];
  /** All descriptors of a socket that the keeper holds. */
  readonly held: (socket: string) => readonly HeldSocket[];
  /** It is paused from now on, or is not any more: nothing may be started for it, or may again. */
  readonly changed: (socket: string) => void;
}

interface Pause {
  readonly until: Monotonic;
  registrations: readonly EpollRegistration[];
  timer?: NodeJS.Timeout;
  /** Why it could not be ended. */
  problem?: string;
}

interface PauseTag {
  readonly v: 1;
  readonly until: Monotonic;
  readonly registrations: readonly EpollRegistration[];
}

/**
 * Sockets from which nobody accepts for a while: connections wait in the kernel's queue. Bounded in time, so that a forgotten one ends by itself.
 *
 * What has to be undone is noted in the keeper before it is done; a supervisor that comes next goes on with the pause and ends it in time.
 */
export class SocketPauses {
  readonly #o: PausesInput;
  readonly #pauses = new Map<string, Pause>();

  constructor(input: PausesInput) {
    this.#o = input;
  }

  /** When the pause of a socket ends; undefined: it is not paused. */
  until(socket: string): Monotonic | undefined {
    return this.#pauses.get(socket)?.until;
  }

  /** Resolves with the reason why it cannot be paused, in words; undefined: it is. A second pause sets another end. */
  async pause(socket: string, maxMs: number): Promise<string | undefined> {
    const held = this.#o.held(socket);
    if (held.length === 0) return "it is not bound";
    const before = this.#pauses.get(socket);
    const found = findValve(this.#o.acceptors(socket), held);
    const waits = found.registrations.length + found.blocking.length + found.notPermitted.length > 0;
    const words = waits ? valveWords(found) : "epoll";
    if (words !== "epoll") return `its workers cannot be kept from accepting: ${words}`;
    clearTimeout(before?.timer);
    const registrations = noteAlso(before?.registrations ?? [], found.registrations);
    const pause: Pause = { until: this.#o.clock.monotonic() + maxMs, registrations };
    this.#pauses.set(socket, pause);
    this.#o.changed(socket);
    this.#note(socket, pause);
    const refused = await this.#close(registrations);
    if (refused !== undefined) {
      await this.resume(socket, refused);
      return `its workers cannot be kept from accepting: ${refused}`;
    }
    if (this.#pauses.get(socket) !== pause) return "it was resumed, or paused once more, in the same moment";
    this.#watch(socket, pause);
    const message = `socket ${socket} is paused for ${maxMs / 1000} s: connections wait`;
    this.#o.log.info(message);
    this.#o.events.add({ type: "socket-paused", message, data: { socket } });
    return undefined;
  }

  /** Resolves with the reason why a worker could not be opened again, in words; then the socket stays paused, and it is tried again. */
  async resume(socket: string, why = "asked for"): Promise<string | undefined> {
    const pause = this.#pauses.get(socket);
    if (pause === undefined) return undefined;
    clearTimeout(pause.timer);
    const problem = await this.#open(socket, pause.registrations);
    // Somebody else has ended it, or has paused the socket once more and closed it behind us.
    if (this.#pauses.get(socket) !== pause) return undefined;
    if (problem !== undefined) {
      clearTimeout(pause.timer);
      pause.timer = setTimeout(() => void this.resume(socket, why), RETRY_MS);
      if (problem !== pause.problem) this.#o.log.error(`the pause of socket ${socket} cannot be ended yet: ${problem}`);
      pause.problem = problem;
      return problem;
    }
    this.#pauses.delete(socket);
    this.#forget(socket);
    this.#o.changed(socket);
    const message = `socket ${socket} goes on (${why})`;
    this.#o.log.info(message);
    this.#o.events.add({ type: "socket-resumed", message, data: { socket } });
    return undefined;
  }

  /** Learns what an earlier supervisor had paused. Call it before services are adopted: nothing may be started for those sockets. */
  adopt(held: readonly HeldRecord[]): void {
    for (const { key, tag } of held) {
      if (!key.startsWith(PREFIX)) continue;
      const socket = key.slice(PREFIX.length);
      const { until, registrations } = JSON.parse(tag.toString()) as PauseTag;
      this.#pauses.set(socket, { until, registrations });
    }
  }

  /** Goes on with what was adopted. Call it once services are: a pause that is over is undone for those who may accept, and before nobody does. */
  carryOn(): void {
    for (const [socket, pause] of this.#pauses) {
      this.#close(pause.registrations).then((refused) => {
        if (refused !== undefined) this.#o.log.error(`the pause of socket ${socket} has a hole: ${refused}`);
        this.#watch(socket, pause); // All the same: it is to end in time.
      });
    }
  }

  close(): void {
    for (const { timer } of this.#pauses.values()) clearTimeout(timer);
  }

  /** Why new connections still come to somebody; undefined: they do not. */
  #close(registrations: readonly EpollRegistration[]): Promise<string | undefined> {
    return quiesce(this.#o.keeper, registrations).then(refusalWords, (error: Error) => error.message);
  }

  /** Why new connections do not come to everybody again; undefined: they do. What is about to end keeps its valve closed. */
  async #open(socket: string, registrations: readonly EpollRegistration[]): Promise<string | undefined> {
    try {
      const acceptors = new Set(this.#o.acceptors(socket));
      const wanted = registrations.filter(({ pid }) => acceptors.has(pid));
      return refusalWords(await resume(this.#o.keeper, wanted));
    } catch (error) {
      return (error as Error).message;
    }
  }

  #watch(socket: string, pause: Pause): void {
    const look = (): void => {
      if (this.#pauses.get(socket) !== pause) return;
      if (this.#o.clock.monotonic() >= pause.until) {
        void this.resume(socket, "its time is over");
        return;
      }
      try {
        this.#closeAgain(socket, pause);
      } catch (error) {
        this.#complain(socket, error as Error);
      }
      pause.timer = setTimeout(look, LOOK_MS);
    };
    look();
  }

  /** A worker may have begun to wait for the socket since. */
  #closeAgain(socket: string, pause: Pause): void {
    const again = rearmed(this.#o.acceptors(socket), this.#o.held(socket));
    if (again.length === 0) return;
    pause.registrations = noteAlso(pause.registrations, again);
    this.#note(socket, pause);
    quiesce(this.#o.keeper, again).catch((error: Error) => this.#complain(socket, error));
  }

  #note(socket: string, { until, registrations }: Pause): void {
    const tag: PauseTag = { v: 1, until, registrations };
    this.#o.keeper
      .hold(PREFIX + socket, Buffer.from(JSON.stringify(tag)), [], true)
      .catch((error: Error) => this.#complain(socket, error));
  }

  #forget(socket: string): void {
    this.#o.keeper.release(PREFIX + socket).catch((error: Error) => this.#complain(socket, error));
  }

  #complain(socket: string, error: Error): void {
    this.#o.log.error(`the pause of socket ${socket}: ${error.message}`, { error });
  }
}
