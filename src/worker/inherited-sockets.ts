import { getSocketOption, type OwnedFd, takeListenFds } from "../ancillary/index.js";
import type { SocketEntry } from "../handoff/frame.js";

/** A socket that whoever started this process gave to it. */
export interface InheritedSocket {
  readonly name: string;
  /** The receiver's. */
  readonly fd: OwnedFd;
  /** Whether it waits for connections (listen(2) was called). */
  readonly listens: boolean;
  /** For listen(2), as it is configured; known only where a supervisor says it. */
  readonly backlog?: number;
  /** The same for every descriptor of this socket. */
  readonly identity: string;
}

export interface SocketTaker {
  /** Names that it takes; undefined: all. */
  readonly names: ReadonlySet<string> | undefined;
  /** It takes nothing but sockets that wait for connections. */
  readonly onlyListening?: boolean;
  added(socket: InheritedSocket): void;
  removed(identity: string): void;
}

interface Known {
  readonly name: string;
  /** Nobody has taken it yet. */
  idle?: InheritedSocket;
  taker?: SocketTaker;
}

/**
 * The sockets of this process: those of LISTEN_FDS, and those that come and go over the channel, whose list is the whole list each time.
 *
 * A socket that comes later and that nobody takes is closed: it would collect connections that nobody serves.
 */
export class InheritedSockets {
  readonly #known = new Map<string, Known>();
  readonly #backlogs = new Map<string, number>();
  readonly #takers: SocketTaker[] = [];
  #told: () => void = () => {};
  /** Resolves with the first list from the supervisor. */
  readonly listed = new Promise<void>((resolve) => {
    this.#told = resolve;
  });

  constructor(env: NodeJS.ProcessEnv = process.env) {
    for (const { name, fd } of takeListenFds(env)) this.#hold(name, fd);
  }

  /** Gives the taker what there is of its names and nobody else has, and from then on what comes and goes. */
  take(taker: SocketTaker): void {
    this.#takers.push(taker);
    for (const known of this.#known.values()) {
      const { idle } = known;
      if (idle === undefined || !takes(taker, idle)) continue;
      this.#give(known, idle, taker);
    }
  }

  /** Nothing is given to it any more; what it has stays its own. */
  forget(taker: SocketTaker): void {
    const at = this.#takers.indexOf(taker);
    if (at >= 0) this.#takers.splice(at, 1);
  }

  /** The list from the supervisor. The descriptors are ours from now on. */
  list(entries: readonly SocketEntry[], fds: readonly OwnedFd[]): void {
    const listed = new Set<string>();
    for (const [index, { name, backlog }] of entries.entries()) {
      const fd = fds[index]!;
      const identity = identityOf(fd);
      listed.add(identity);
      if (backlog !== undefined) this.#backlogs.set(identity, backlog);
      const known = this.#known.get(identity);
      if (known === undefined) this.#add(name, fd);
      else {
        fd.close();
        const { idle } = known;
        if (idle !== undefined && backlog !== undefined) known.idle = { ...idle, backlog };
      }
    }
    for (const [identity, known] of this.#known) if (!listed.has(identity)) this.#remove(identity, known);
    this.#told();
  }

  #add(name: string, fd: OwnedFd): void {
    const known = this.#hold(name, fd);
    const { idle } = known;
    const taker = idle && this.#takers.find((each) => takes(each, idle));
    if (idle !== undefined && taker !== undefined) this.#give(known, idle, taker);
    // Before anybody has asked, the program is still starting.
    else if (this.#takers.length > 0) this.#remove(identityOf(fd), known);
  }

  #hold(name: string, fd: OwnedFd): Known {
    const identity = identityOf(fd);
    const backlog = this.#backlogs.get(identity);
    const listens = isListening(fd);
    const known: Known = {
      name,
      idle: { name, fd, listens, identity, ...(backlog === undefined ? {} : { backlog }) },
    };
    this.#known.set(identity, known);
    return known;
  }

  #give(known: Known, socket: InheritedSocket, taker: SocketTaker): void {
    delete known.idle;
    known.taker = taker;
    taker.added(socket);
  }

  #remove(identity: string, known: Known): void {
    this.#known.delete(identity);
    this.#backlogs.delete(identity);
    known.idle?.fd.close();
    known.taker?.removed(identity);
  }
}

function takes({ names, onlyListening = false }: SocketTaker, { name, listens }: InheritedSocket): boolean {
  return (names === undefined || names.has(name)) && (listens || !onlyListening);
}

/** As in `InheritedSocket`. */
export function identityOf(fd: OwnedFd): string {
  const { dev, ino } = fd.identity();
  return `${dev}:${ino}`;
}

/** False too for what is no socket: a fifo. */
function isListening(fd: OwnedFd): boolean {
  try {
    return getSocketOption(fd, "SO_ACCEPTCONN") === 1;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTSOCK") return false;
    throw error;
  }
}
