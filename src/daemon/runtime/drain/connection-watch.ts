import type { DrainPolicy } from "../../config/config.js";
import { type Answered, countInFlight, isInFlight, rememberAnswered } from "../../lifecycle/in-flight.js";
import type { ConnectionLook } from "../connections/connection-look.js";
import { type ListenerLook, lookAtSockets } from "../connections/sockets-look.js";

/** Where it cannot be told who spoke last, a question that takes longer may be cut. */
const TIED_IDLE_MS = 5_000;

/** The worker spoke last, and this long ago nobody has said anything: enough to close it when the time for the drain is over anyway. */
const CLOSING_IDLE_MS = 5;

export interface Counted {
  readonly inFlight: number;
  readonly seen: number;
  readonly open: number;
  /** Of those in flight: what it has not accepted. */
  readonly waiting: number;
  /** So many were closed by us. */
  readonly closed: number;
}

export interface Watched {
  /** Inodes of the listening sockets. */
  readonly listeners: readonly bigint[];
  /** Those of them that are the worker's alone: what waits in them is its own work. */
  readonly own: readonly bigint[];
}

/** The connections of one worker that drains, over several looks. */
export class ConnectionWatch {
  readonly #watched: Watched;
  readonly #seen = new Set<string>();
  readonly #closed = new Set<bigint>();
  /** At the last look, in its own sockets. */
  #waiting = 0;
  /** Handshakes that had begun when new connections were turned away: each may still become one of its connections. */
  #begun: ReadonlySet<string> | undefined;
  #before: readonly ConnectionLook[] | undefined;
  #now: readonly ConnectionLook[] = [];
  /** What looks have proven to be at rest for as long as the drain asks, and for as long as closing does. */
  #answered: Answered | undefined;
  #answeredNow: Answered | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** One more look. @param pids of its whole tree */
  look(pids: readonly number[], drain: DrainPolicy): Counted {
    const look = lookAtSockets(this.#watched.listeners);
    const { connections } = look.connectionsOf(pids);
    const own = this.#watched.own.flatMap((inode) => look.listener(inode) ?? []);
    this.#before = this.#now.length === 0 && this.#begun === undefined ? undefined : this.#now;
    this.#now = connections;
    const { idleMs, waitFor } = drain;
    this.#answered = rememberAnswered(connections, idleMs, this.#answered);
    this.#answeredNow = rememberAnswered(connections, CLOSING_IDLE_MS, this.#answeredNow);
    const policy = { idleMs, tiedIdleMs: Math.max(idleMs, TIED_IDLE_MS), waitFor, answered: this.#answered };
    const before = new Map(this.#before?.map((one) => [one.id, one]));
    for (const one of connections) if (isInFlight(one, before.get(one.id), policy)) this.#seen.add(one.id);
    this.#waiting = this.#coming(own);
    return this.#counted(connections.length, countInFlight(connections, this.#before, policy).inFlight);
  }

  #counted(open: number, inFlight: number): Counted {
    const waiting = this.#waiting;
    const closed = this.#closed.size;
    return { inFlight: inFlight + waiting, seen: this.#seen.size, open: open + waiting, waiting, closed };
  }

  /** These were closed: their program will do the same once it has read that. */
  closed(inodes: readonly bigint[]): void {
    for (const inode of inodes) this.#closed.add(inode);
  }

  /** What the last look counted, while connections are closed one by one: in flight is what could not be closed yet, or is busy all the same. */
  closing(): Counted {
    const quiet = new Set(this.#quiet().map(({ inode }) => inode));
    const open = this.#now.filter(({ inode }) => !(quiet.has(inode) && this.#closed.has(inode))).length;
    return this.#counted(open, open);
  }

  /** Of the last look: those that may be closed, because nobody is in the middle of anything that shows. */
  closable(): readonly ConnectionLook[] {
    return this.#quiet().filter(({ inode }) => !this.#closed.has(inode));
  }

  #quiet(): readonly ConnectionLook[] {
    const policy = {
      idleMs: CLOSING_IDLE_MS,
      tiedIdleMs: TIED_IDLE_MS,
      waitFor: "requests",
      ...(this.#answeredNow === undefined ? {} : { answered: this.#answeredNow }),
    } as const;
    const before = new Map(this.#before?.map((one) => [one.id, one]));
    return this.#now.filter((one) => !isInFlight(one, before.get(one.id), policy));
  }

  /** What waits in its own sockets, and the handshakes that may still get there. */
  #coming(listeners: readonly ListenerLook[]): number {
    const handshakes = new Set(listeners.flatMap((one) => (one.kind === "tcp" ? one.handshakes : [])));
    this.#begun ??= handshakes;
    const begun = [...this.#begun].filter((id) => handshakes.has(id)).length;
    return listeners.reduce((sum, one) => sum + waiting(one), begun);
  }
}

/** Connections; a datagram socket that holds anything counts as one. */
function waiting(look: ListenerLook): number {
  return look.kind === "udp" ? Math.min(1, look.queuedBytes) : look.queued;
}
