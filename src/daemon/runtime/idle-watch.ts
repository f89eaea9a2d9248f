import { kernelTellsConnections, lookAtSockets } from "./connections/sockets-look.js";
import { listProc, readProc } from "./process-stat.js";

export interface IdleInput {
  /** Of all its workers; undefined: it is not in a state in which it could rest. */
  readonly pids: () => readonly number[] | undefined;
  /** Inodes of its listening sockets. */
  readonly listeners: () => readonly bigint[];
  readonly monotonic: () => number;
  /** For `idleMs` nobody was connected. */
  readonly idle: () => void;
}

const SHORTEST_LOOK_MS = 20;
/** Each look asks for what a service does by itself, so pauses must not be so long that a burst of requests is lost in them. */
const LONGEST_LOOK_MS = 250;
const LOOKS = 20;
/** What a program does by itself while nobody asks for anything: one that wakes up twice a second is idle. */
const OWN_SWITCHES_PER_S = 4;

/**
 * Looks whether anybody is connected to a service, and tells when nobody has been for long.
 *
 * A connection that comes and goes between two looks is seen by what it leaves: the kernel counts passive opens (of the whole network namespace, so they
 * may be somebody else's; of other kinds it counts nothing), and a worker that has answered has been awake. Where both have moved it was not idle.
 * Where the kernel tells nothing of connections, and as long as a look fails, nobody is taken for idle.
 */
export class IdleWatch {
  readonly #o: IdleInput;
  #timer: NodeJS.Timeout | undefined;
  #idleSince: number | undefined;
  #before: { readonly at: number; readonly opens: number; readonly switches: number } | undefined;

  constructor(input: IdleInput) {
    this.#o = input;
  }

  /** From now on, with this length; undefined: not any more. False where nothing comes of it: the kernel tells nothing of connections. */
  watch(idleMs: number | undefined): boolean {
    this.stop();
    if (idleMs === undefined) return true;
    if (!kernelTellsConnections()) return false;
    const pause = Math.min(Math.max(idleMs / LOOKS, SHORTEST_LOOK_MS), LONGEST_LOOK_MS);
    this.#timer = setInterval(() => this.#look(idleMs), pause);
    this.#timer.unref();
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#idleSince = undefined;
    this.#before = undefined;
  }

  #look(idleMs: number): void {
    const pids = this.#o.pids();
    const at = this.#o.monotonic();
    if (pids === undefined || this.#mayBeUsed(pids, at)) {
      this.#idleSince = undefined;
      return;
    }
    this.#idleSince ??= at;
    if (at - this.#idleSince < idleMs) return;
    this.#idleSince = undefined;
    this.#o.idle();
  }

  #mayBeUsed(pids: readonly number[], at: number): boolean {
    try {
      return this.#isUsed(pids, at);
    } catch {
      return true; // No descriptors or no memory for a look now; the next one may have them.
    }
  }

  #isUsed(pids: readonly number[], at: number): boolean {
    const now = { at, opens: passiveOpens(), switches: pids.reduce((sum, pid) => sum + contextSwitches(pid), 0) };
    const before = this.#before;
    this.#before = now;
    const listeners = this.#o.listeners();
    const look = lookAtSockets(listeners);
    if (look.connectionsOf(pids).connections.length > 0) return true;
    const kinds = listeners.map((inode) => look.listener(inode));
    if (kinds.some((one) => one !== undefined && one.kind !== "udp" && one.queued > 0)) return true;
    if (before === undefined) return true;
    const opened = now.opens !== before.opens || kinds.some((one) => one?.kind !== "tcp");
    const own = OWN_SWITCHES_PER_S * ((now.at - before.at) / 1000) + 1;
    return opened && now.switches - before.switches > own;
  }
}

/** Connections that were accepted by the kernel, for all listeners of this network namespace: Tcp PassiveOpens of /proc/net/snmp. */
function passiveOpens(): number {
  const [names = [], numbers = []] = (readProc("/proc/net/snmp") ?? "")
    .split("\n")
    .filter((line) => line.startsWith("Tcp:"))
    .map((line) => line.split(" "));
  return Number(numbers[names.indexOf("PassiveOpens")] ?? 0);
}

/** How often its threads have waited for something. */
function contextSwitches(pid: number): number {
  const threads = listProc(`/proc/${pid}/task`).map((thread) => readProc(`/proc/${pid}/task/${thread}/status`) ?? "");
  return threads.reduce((sum, text) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1] ?? 0), 0);
}
