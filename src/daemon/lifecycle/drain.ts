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

/** One socket in one epoll set of one process, as /proc shows it; all that is needed to take it out and to put it back. */
export interface EpollRegistration {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat: a pid alone may be another process by now. */
  readonly startTicks: number;
  /** Number of the epoll descriptor in that process. */
  readonly epollFd: number;
  /** Number that the socket is registered under. */
  readonly fd: number;
  /** EPOLL* of epoll_ctl(2). */
  readonly events: number;
  /** The 64 bits that the program has with it, in hexadecimal. */
  readonly data: string;
  /** The keeper's key of the socket. */
  readonly key: string;
}

export interface Drain {
  readonly since: Monotonic;
  /** Missing: it is not known yet. */
  readonly valve?: Valve;
  /** Connections that were in flight at some time since the valve was closed. */
  readonly seen: number;
  /** Those that are in flight still; of a worker that has got its stop signal: those that were cut. */
  readonly inFlight: number;
  /** When it got its stop signal. */
  readonly until?: Monotonic;
}
