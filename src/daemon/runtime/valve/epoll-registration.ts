import type { EpollRegistration } from "../../lifecycle/drain.js";

export type { EpollRegistration };

/** EPOLLERR and EPOLLHUP, which the kernel adds to whatever is asked for, and the bits that say how an event is told, not which. */
const ALWAYS_AND_MANNER = 0x8 | 0x10 | 0xf0000000;

/** Without an event that a connection or a datagram makes: a closed valve, or a one-shot that the program will arm again itself. */
export function isIdle({ events }: Pick<EpollRegistration, "events">): boolean {
  return (events & ~ALWAYS_AND_MANNER) === 0;
}

/** EPOLLEXCLUSIVE: a connection wakes one of those that wait in this way. It cannot be modified, and is replaced instead. */
export function isExclusive({ events }: Pick<EpollRegistration, "events">): boolean {
  return (events & 0x10000000) !== 0;
}

/** The same place in the same epoll set, whatever its events are. */
export function samePlace(a: EpollRegistration, b: EpollRegistration): boolean {
  return a.pid === b.pid && a.startTicks === b.startTicks && a.epollFd === b.epollFd && a.fd === b.fd;
}

/**
 * What to note when a later look has found `seen`: new registrations are added, one that the program has armed again replaces what was noted of it, and
 * one that is idle by now keeps the events that were noted, because those are what `resume` gives back.
 */
export function noteAlso(
  noted: readonly EpollRegistration[],
  seen: readonly EpollRegistration[],
): readonly EpollRegistration[] {
  const kept = noted.filter((old) => !seen.some((now) => samePlace(old, now) && !isIdle(now)));
  const added = seen.filter((now) => !kept.some((old) => samePlace(old, now)));
  return [...kept, ...added];
}
