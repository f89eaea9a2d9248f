import { localAddress, type OwnedFd, pollReadable, type SocketAddress, setNonblocking } from "../../ancillary/index.js";
import type { SocketConfig } from "../config/config.js";
import type { SocketView } from "../control/api.js";
import type { Share } from "../lifecycle/steering.js";
import type { EventLog } from "./event-log.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";
import type { Inode } from "./listening.js";
import type { Logger } from "./logger.js";
import { type EntryWorld, SocketEntry } from "./socket-entry.js";
import { flushSocket } from "./socket-flush.js";
import { isAnyPort, socketKeys } from "./socket-key.js";
import { type SocketLook, socketLooks, socketViews } from "./socket-looks.js";
import { laneKey } from "./steering/socket-lanes.js";
import type { HeldSocket } from "./valve/find-valve.js";

/**
 * The sockets of the configuration: bound once, held by the keeper, found again by the next supervisor.
 *
 * One that cannot be bound is tried again with growing pauses; the services that need it wait, the others do not notice.
 * Between `prepare` and `settle` it has those of two configurations.
 */
export class SocketTable {
  readonly #entries = new Map<string, SocketEntry>();
  readonly #log: Logger;
  readonly #world: EntryWorld;
  /** What was asked for last, by the name of the steered socket. */
  readonly #shares = new Map<string, readonly Share[]>();
  #sockets: readonly SocketConfig[];

  constructor(o: {
    readonly sockets: readonly SocketConfig[];
    /** What an earlier supervisor may have bound and is not in force: adopted until `settle`, but never bound. */
    readonly leaving: readonly SocketConfig[];
    readonly keeper: Keeper;
    readonly log: Logger;
    readonly events: EventLog;
    /** The socket was bound, or its error changed. */
    readonly changed: (socket: string) => void;
  }) {
    const { keeper, log, events, changed } = o;
    this.#log = log;
    this.#world = {
      keeper,
      log,
      events,
      changed,
      ours: () => new Set([...this.#entries.values()].flatMap((entry) => entry.fds()).map((fd) => fd.identity().ino)),
      shares: (socket) => this.#shares.get(socket),
    };
    this.#sockets = o.sockets;
    for (const config of [...o.sockets, ...o.leaving]) this.#enter(config);
  }

  /** Takes over what an earlier supervisor had bound. */
  async adopt(held: readonly HeldRecord[]): Promise<void> {
    const known = new Map(held.map((record) => [record.key, record]));
    await Promise.all([...this.#entries.values()].map((entry) => entry.adopt(known)));
  }

  /** Binds what is not bound yet, of one socket or of all that are in force. A failure is remembered and tried again later; it is not thrown. */
  openMissing(socket?: SocketConfig): void {
    for (const config of socket === undefined ? this.#sockets : [socket]) {
      for (const entry of this.#of(config)) if (entry.fd === undefined) entry.open();
    }
  }

  /**
   * Makes the sockets usable beside those that are there: binds new addresses, takes an address over from another name, changes what can
   * be changed on a bound socket. All or nothing: if anything fails it is undone before the error is thrown.
   */
  async prepare(sockets: readonly SocketConfig[]): Promise<{ undo(): void }> {
    const before = this.#sockets;
    const adjusted: { entry: SocketEntry; config: SocketConfig; index: number }[] = [];
    const undo = (): void => {
      for (const { entry, config, index } of adjusted.reverse()) entry.adjust(config, index);
      this.settle(before);
    };
    try {
      for (const config of sockets) {
        for (const [index, key] of socketKeys(config).entries()) {
          const entry = this.#entries.get(key);
          if (entry === undefined) await this.#takenOver(this.#enterOne(config, index, key), sockets).bind();
          else if (entry.config !== config) {
            adjusted.push({ entry, config: entry.config, index: entry.index });
            entry.adjust(config, index);
          }
        }
      }
      return { undo };
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** From now on these are the sockets; all others are closed, and their paths removed. */
  settle(sockets: readonly SocketConfig[]): void {
    this.#sockets = sockets;
    const keep = new Set(sockets.flatMap(socketKeys));
    const gone = [...this.#entries.values()].filter(({ key }) => !keep.has(key));
    for (const { key } of gone) this.#entries.delete(key);
    const addresses = new Set([...this.#entries.values()].map(({ canonical }) => canonical));
    // The path of a socket that has only changed its name is somebody's still.
    for (const entry of gone) entry.leave(!addresses.has(entry.canonical));
  }

  /** Before a stopped service starts again: throws away what waited, where `flush_pending` asks for it. */
  flush(socket: SocketConfig): void {
    for (const { config, fd, index, address } of this.#of(socket)) {
      if (fd === undefined || config.options.flushPending !== true) continue;
      const count = flushSocket(fd, config.listen[index]!.kind);
      if (count > 0) this.#log.info(`${count} that waited at ${address} were thrown away (flush_pending)`);
    }
  }

  /** All of it: O_NONBLOCK belongs to what all duplicates share. */
  makeBlocking(socket: SocketConfig): void {
    for (const entry of this.#of(socket)) for (const fd of entry.fds()) setNonblocking(fd, false);
  }

  /** What the socket's descriptors are, for those who look for them in other processes; of a steered one those of a lane. */
  inodes(socket: SocketConfig, lane?: number): readonly Inode[] {
    return this.#of(socket).flatMap(
      ({ fd, lanes }) => lanes?.inodes(lane) ?? (fd === undefined ? [] : [fd.identity()]),
    );
  }

  /** The keeper's keys of the descriptors that a worker gets, in their order. A lane that is not there yet is opened. Throws SocketOpenError. */
  keys(socket: SocketConfig, lane?: number): readonly string[] {
    if (lane === undefined || socket.distribution === "shared") return socketKeys(socket);
    return this.#of(socket).map(({ key, lanes }) => lanes?.key(lane) ?? key);
  }

  /** Which lanes of a steered socket get what comes in from now on; of one that cannot be bound yet, once it is. */
  steer(socket: SocketConfig, shares: readonly Share[]): void {
    if (socket.distribution === "shared") return;
    this.#shares.set(socket.name, shares);
    for (const entry of this.#of(socket)) entry.steer();
  }

  /** How many lanes it has; 0 = it is not steered, or not bound. */
  lanes(socket: SocketConfig): number {
    return Math.max(0, ...this.#of(socket).map(({ lanes }) => lanes?.count ?? 0));
  }

  /** Whether something waits in a lane. */
  waitsIn(socket: SocketConfig, lane: number): boolean {
    return this.#of(socket).some(({ lanes }) => {
      const fd = lanes?.fd(lane);
      return fd !== undefined && pollReadable(fd);
    });
  }

  /** What waits and what was dropped, at each address. */
  look(sockets: readonly SocketConfig[]): readonly SocketLook[] {
    return socketLooks(sockets.flatMap((socket) => this.#of(socket)));
  }

  /** Why the socket cannot be used now; undefined if all of it is bound. */
  problem(socket: SocketConfig): string | undefined {
    return this.#of(socket).find(({ error }) => error !== undefined)?.error;
  }

  /** Its descriptors, of one lane if it is steered; they stay ours. A lane that is not there yet is opened. Throws SocketOpenError. */
  fds(socket: SocketConfig, lane: number | undefined): readonly OwnedFd[] {
    return this.#of(socket).flatMap(({ fd, lanes }) => (lane === undefined ? fd : (lanes?.reached(lane) ?? fd)) ?? []);
  }

  /** The addresses that connections to it can be made to, as they are bound. */
  addresses(socket: SocketConfig): readonly SocketAddress[] {
    return this.#of(socket).flatMap(({ config, index, fd }) => {
      const { kind } = config.listen[index]!;
      return fd !== undefined && (kind === "tcp" || kind === "unix") ? [localAddress(fd)] : [];
    });
  }

  /** All its descriptors that the keeper holds, of every lane. */
  held(socket: SocketConfig): readonly HeldSocket[] {
    return this.#of(socket).flatMap((entry) =>
      entry.fds().map((fd, index) => ({ key: laneKey(entry.key, index + 1), index: 0, inode: fd.identity() })),
    );
  }

  /** The socket of this name that is in force. */
  named(name: string): SocketConfig | undefined {
    return this.#sockets.find((socket) => socket.name === name);
  }

  has(name: string): boolean {
    return this.named(name) !== undefined;
  }

  isBound(socket: SocketConfig): boolean {
    return this.#of(socket).every(({ fd }) => fd !== undefined);
  }

  /** One view for each address; `services` says who uses a socket. */
  views(services: (socket: string) => readonly string[]): SocketView[] {
    return socketViews(
      this.#sockets.flatMap((socket) => this.#of(socket)),
      services,
    );
  }

  /** Closes our duplicates and, at the end of everything, removes the paths that are to be removed. */
  close(removePaths: boolean): void {
    for (const entry of this.#entries.values()) entry.close(removePaths);
  }

  #of(socket: SocketConfig): readonly SocketEntry[] {
    return socketKeys(socket).flatMap((key) => this.#entries.get(key) ?? []);
  }

  #enter(config: SocketConfig): void {
    for (const [index, key] of socketKeys(config).entries()) {
      if (!this.#entries.has(key)) this.#enterOne(config, index, key);
    }
  }

  #enterOne(config: SocketConfig, index: number, key: string): SocketEntry {
    const entry = new SocketEntry({ config, index }, key, this.#world);
    this.#entries.set(key, entry);
    return entry;
  }

  /** An address that another name gives up keeps its socket: the entry gets a duplicate. */
  #takenOver(entry: SocketEntry, wanted: readonly SocketConfig[]): SocketEntry {
    const stays = new Set(wanted.flatMap(socketKeys));
    if (isAnyPort(entry.config.listen[entry.index]!)) return entry;
    const other = [...this.#entries.values()].find(
      (one) => one !== entry && one.fd !== undefined && !stays.has(one.key) && one.canonical === entry.canonical,
    );
    if (other !== undefined) entry.takeOver(other);
    return entry;
  }
}
