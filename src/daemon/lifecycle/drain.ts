import type { Monotonic } from "./end.js";

/**
 * What keeps new connections from a worker that retires.
 *
 *   epoll     its epoll sets: the socket is taken out of them, and can be put back
 *   steered   it has a socket of its own, and the kernel chooses among those of the others
 *   handoff   it was told to stop accepting, over its handoff channel
 *   signal    nothing: what it does about its stop signal is all the drain there is
 */
export type Valve =
  | { readonly kind: "epoll"; readonly registrations: readonly EpollRegistration[] }
  | { readonly kind: "steered" | "handoff" }
  /** `why`: for the operator, why there is no better one. */
  | { readonly kind: "signal"; readonly why: string };

/** One socket in one epoll set of one process of a worker, as the program registered it; all that is needed to take it out and to put it back. */
export interface EpollRegistration {
  readonly pid: number;
  /** Since boot, in clock ticks, decimal; with `pid` it names one process for as long as the machine runs. */
  readonly startTicks: string;
  /** The number of the epoll descriptor in that process. */
  readonly epollFd: number;
  /** The number under which the socket is registered. */
  readonly fd: number;
  readonly events: number;
  /** The program's own 64 bits, 16 hexadecimal digits. */
  readonly data: string;
  /** Which held descriptor it is: an entry of the keeper and the index in it. */
  readonly socket: { readonly key: string; readonly index: number };
}

export interface Drain {
  readonly since: Monotonic;
  /** Missing: it is not known yet. */
  readonly valve?: Valve;
  /** Connections that were in flight at some time since the valve was closed. */
  readonly seen: number;
  /** Those that are in flight still. */
  readonly inFlight: number;
  /** Those of `inFlight` that it has not accepted: they wait in a socket of its own, and outlive it there. Missing: 0. */
  readonly waiting?: number;
  /** Those that were closed between two requests, because the time for the drain was over. */
  readonly closed: number;
  /** When it got its stop signal, or ended by itself. */
  readonly until?: Monotonic;
}

/** Of a worker that has got its stop signal: the connections that it has cut. Those that it had not accepted are not among them. */
export function cutOf({ inFlight, waiting = 0 }: Pick<Drain, "inFlight" | "waiting">): number {
  return inFlight - waiting;
}
