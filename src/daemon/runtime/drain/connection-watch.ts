import type { DrainPolicy } from "../../config/config.js";
import { countInFlight, isInFlight } from "../../lifecycle/in-flight.js";
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
  /** Handshakes that had begun when new connections were turned away: each may still become one of its connections. */
  #begun: ReadonlySet<string> | undefined;
  #before: readonly ConnectionLook[] | undefined;
  #now: readonly ConnectionLook[] = [];

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
    const policy = { idleMs, tiedIdleMs: Math.max(idleMs, TIED_IDLE_MS), waitFor };
    const before = new Map(this.#before?.map((one) => [one.id, one]));
    for (const one of connections) if (isInFlight(one, before.get(one.id), policy)) this.#seen.add(one.id);
    const coming = this.#coming(own);
    const { inFlight } = countInFlight(connections, this.#before, policy);
    return { inFlight: inFlight + coming, seen: this.#seen.size, open: connections.length + coming, waiting: coming };
  }

  /** Of the last look: those that may be closed one by one, because nobody is in the middle of anything that shows. */
  closable(): readonly ConnectionLook[] {
    const policy = { idleMs: CLOSING_IDLE_MS, tiedIdleMs: CLOSING_IDLE_MS, waitFor: "requests" } as const;
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
