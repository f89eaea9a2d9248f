import { constants } from "node:os";
import type { OwnedFd } from "../../../ancillary/index.js";
import { entriesOf } from "../epoll-set.js";
import type { Keeper } from "../keeper/keeper-client.js";
import type { RegistrationRecord } from "../keeper/records.js";
import { livingPidfd } from "../living-pidfd.js";
import { readStat } from "../process-stat.js";
import { type EpollRegistration, isExclusive, isIdle } from "./epoll-registration.js";
import { ifPermitted } from "./find-valve.js";

/**
 * What became of one registration:
 *
 * - done;
 * - idle: there was nothing to do, the program arms this one-shot itself;
 * - rearmed (resume only): the program has changed it since, and what it made is left alone;
 * - gone: its process has ended, or the program has removed it;
 * - not-permitted: the keeper may not look into the process;
 * - failed: see `errno`.
 */
export type TurnOutcome = "done" | "idle" | "rearmed" | "gone" | "not-permitted" | "failed";

export interface TurnResult {
  readonly registration: EpollRegistration;
  readonly outcome: TurnOutcome;
  /** As in errno(3); 0 unless the kernel refused. */
  readonly errno: number;
}

type Turner = Pick<Keeper, "quiesce" | "resume">;

/** Of one frame of the keeper's protocol. */
const MAX_REGISTRATIONS = 256;
const MAX_PIDFDS = 253;

/**
 * Closes the valve: new connections do not wake these processes any more. What they have been woken for already they may still accept.
 * The request is on its way to the keeper when this returns; note the registrations before, and `nudge` the others afterwards.
 *
 * @throws KeeperError ENOENT: one of the sockets is not held. KeeperGoneError
 */
export function quiesce(keeper: Turner, registrations: readonly EpollRegistration[]): Promise<TurnResult[]> {
  return turn(
    registrations,
    (registration) => (isIdle(registration) ? "idle" : undefined),
    keeper.quiesce.bind(keeper),
  );
}

/**
 * Opens it again, with the events and the data that were noted. What waits in the sockets' queues is told at once.
 *
 * @throws KeeperError ENOENT: one of the sockets is not held. KeeperGoneError
 */
export function resume(keeper: Turner, registrations: readonly EpollRegistration[]): Promise<TurnResult[]> {
  return turn(registrations, changedSince, keeper.resume.bind(keeper));
}

/**
 * Has workers that stay open look at their sockets once: to be called with their registrations after a valve was closed.
 *
 * Of exclusive registrations the kernel wakes one for a connection. If that was the one that was closed before it could look, nobody else knows
 * of the connection until the next one comes. Others need it not, and are `idle`.
 *
 * @param registrations as they were found just now: what a program has changed since would be undone
 * @throws KeeperError ENOENT: one of the sockets is not held. KeeperGoneError
 */
export function nudge(keeper: Turner, registrations: readonly EpollRegistration[]): Promise<TurnResult[]> {
  const needsNone = (one: EpollRegistration) => (isExclusive(one) && !isIdle(one) ? undefined : "idle");
  return turn(registrations, needsNone, keeper.resume.bind(keeper));
}

/**
 * Whether there is still what we left. The data of a registration is usually a pointer of the program: a stale one must never be written over what
 * it has registered since.
 */
function changedSince(noted: EpollRegistration): TurnOutcome | undefined {
  if (isIdle(noted)) return "idle";
  const entries = ifPermitted(() => entriesOf(noted.pid, noted.epollFd));
  if (entries === "not-permitted") return entries;
  const now = entries.filter(({ fd }) => fd === noted.fd);
  if (now.length === 0) return "gone";
  return now.some((entry) => isIdle(entry) && entry.data === BigInt(`0x${noted.data}`)) ? undefined : "rearmed";
}

async function turn(
  registrations: readonly EpollRegistration[],
  decided: (registration: EpollRegistration) => TurnOutcome | undefined,
  ask: Turner["quiesce"],
): Promise<TurnResult[]> {
  const results: (TurnResult | undefined)[] = registrations.map((registration) => {
    const outcome = decided(registration);
    return outcome && { registration, outcome, errno: 0 };
  });
  const open = registrations.filter((_, index) => results[index] === undefined);
  const turned = (await Promise.all(framesOf(open).map((frame) => send(frame, ask)))).flat();
  return results.map((result) => result ?? turned.shift()!);
}

/** As many as fit one frame each; their order is kept. */
function framesOf(registrations: readonly EpollRegistration[]): EpollRegistration[][] {
  const frames: EpollRegistration[][] = [];
  const processes = new Set<string>();
  for (const registration of registrations) {
    const frame = frames.at(-1);
    const name = processName(registration);
    if (
      frame !== undefined &&
      frame.length < MAX_REGISTRATIONS &&
      (processes.has(name) || processes.size < MAX_PIDFDS)
    ) {
      frame.push(registration);
    } else {
      frames.push([registration]);
      processes.clear();
    }
    processes.add(name);
  }
  return frames;
}

/** What is sent goes out before the first pause, so that the order of calls is the order of frames. */
async function send(frame: readonly EpollRegistration[], ask: Turner["quiesce"]): Promise<TurnResult[]> {
  const processes = new Map<string, { readonly index: number; readonly pidfd: OwnedFd }>();
  const errnos = new Map<EpollRegistration, number>();
  try {
    for (const registration of frame) {
      const name = processName(registration);
      if (processes.has(name)) continue;
      const pidfd = openProcess(registration);
      if (pidfd !== undefined) processes.set(name, { index: processes.size, pidfd });
    }
    const sent = frame.filter((registration) => processes.has(processName(registration)));
    const records = sent.map((registration) => toRecord(registration, processes.get(processName(registration))!.index));
    const fds = [...processes.values()].map(({ pidfd }) => pidfd);
    const reply = records.length === 0 ? [] : await ask(records, fds);
    for (const [index, registration] of sent.entries()) errnos.set(registration, reply[index]!);
  } finally {
    for (const { pidfd } of processes.values()) pidfd.close();
  }
  return frame.map((registration) => resultOf(registration, errnos.get(registration) ?? constants.errno.ESRCH));
}

function processName({ pid, startTicks }: EpollRegistration): string {
  return `${pid} ${startTicks}`;
}

/** The pidfd first, then the look: it is this very process that is asked about, or nobody. */
function openProcess({ pid, startTicks }: EpollRegistration): OwnedFd | undefined {
  const pidfd = livingPidfd(pid);
  if (pidfd === undefined || String(readStat(pid)?.startTicks) === startTicks) return pidfd;
  pidfd.close();
  return undefined;
}

function toRecord({ epollFd, fd, socket, events, data }: EpollRegistration, process: number): RegistrationRecord {
  return { process, epollFd, fd, key: socket.key, index: socket.index, events, data: BigInt(`0x${data}`) };
}

function resultOf(registration: EpollRegistration, errno: number): TurnResult {
  const { ESRCH, EBADF, EINVAL, ENOENT, EPERM } = constants.errno;
  if (errno === 0) return { registration, outcome: "done", errno };
  if (errno === EPERM) return { registration, outcome: "not-permitted", errno };
  // EBADF, EINVAL: the program has closed its epoll set, and the number is nothing or something else by now.
  const isGone = [ESRCH, EBADF, EINVAL, ENOENT].includes(errno);
  return { registration, outcome: isGone ? "gone" : "failed", errno };
}
