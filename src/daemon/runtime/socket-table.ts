import { localAddress, type OwnedFd, pollReadable, type SocketAddress, setNonblocking } from "../../ancillary/index.js";
import type { Address, SocketConfig } from "../config/config.js";
import type { SocketView } from "../control/api.js";
import type { Share } from "../lifecycle/steering.js";
import type { EventLog } from "./event-log.js";
import { resolveIdentity } from "./identity.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";
import type { Inode } from "./listening.js";
import type { Logger } from "./logger.js";
import { ownerInWords, ownerOf, serving } from "./port-owner.js";
import { flushSocket } from "./socket-flush.js";
import { canonicalAddress, isAnyPort, socketKeys } from "./socket-key.js";
import { adjustSocket, openLane, openSocket, removeSocketPath } from "./socket-opener.js";
import { queueLooks } from "./socket-queue.js";
import { laneKey, SocketLanes } from "./steering/socket-lanes.js";
import type { HeldSocket } from "./valve/find-valve.js";

interface Entry {
  config: SocketConfig;
  /** Its place in `config.listen`. */
  index: number;
  readonly key: string;
  /** Our duplicate; the keeper has its own. */
  fd?: OwnedFd;
  /** Of a steered socket that is bound. */
  lanes?: SocketLanes;
  address: string;
  error?: string;
  retryMs: number;
  retry?: NodeJS.Timeout;
}

interface SocketTag {
  readonly v: 1;
  readonly address: string;
}

/** What waits at an address now, and what the kernel has dropped there so far. */
export interface SocketLook {
  readonly name: string;
  readonly address: string;
  readonly queued: number;
  readonly drops: number;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/**
 * The sockets of the configuration: bound once, held by the keeper, found again by the next supervisor.
 *
 * One that cannot be bound is tried again with growing pauses; the services that need it wait, the others do not notice.
 * Between `prepare` and `settle` it has those of two configurations.
 */
export class SocketTable {
  readonly #entries = new Map<string, Entry>();
  readonly #keeper: Keeper;
  readonly #log: Logger;
  readonly #events: EventLog;
  readonly #changed: (socket: string) => void;
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
    this.#keeper = o.keeper;
    this.#log = o.log;
    this.#events = o.events;
    this.#changed = o.changed;
    this.#sockets = o.sockets;
    for (const config of [...o.sockets, ...o.leaving]) this.#enter(config);
  }

  /** Takes over what an earlier supervisor had bound. */
  async adopt(held: readonly HeldRecord[]): Promise<void> {
    const known = new Map(held.map((record) => [record.key, record]));
    await Promise.all(
      [...this.#entries.values()].map(async (entry) => {
        const record = known.get(entry.key);
        if (record === undefined) return;
        const [fd] = await this.#keeper.fetch("held", entry.key);
        if (fd === undefined) return;
        entry.fd = fd;
        entry.address = (JSON.parse(record.tag.toString()) as SocketTag).address;
        const others: OwnedFd[] = [];
        for (let lane = 2; known.has(laneKey(entry.key, lane)); lane += 1) {
          others.push(...(await this.#keeper.fetch("held", laneKey(entry.key, lane))));
        }
        this.#makeLanes(entry, others);
      }),
    );
  }

  /** Binds what is not bound yet, of one socket or of all that are in force. A failure is remembered and tried again later; it is not thrown. */
  openMissing(socket?: SocketConfig): void {
    for (const config of socket === undefined ? this.#sockets : [socket]) {
      for (const entry of this.#of(config)) if (entry.fd === undefined) this.#open(entry);
    }
  }

  /**
   * Makes the sockets usable beside those that are there: binds new addresses, takes an address over from another name, changes what can
   * be changed on a bound socket. All or nothing: if anything fails it is undone before the error is thrown.
   */
  async prepare(sockets: readonly SocketConfig[]): Promise<{ undo(): void }> {
    const before = this.#sockets;
    const adjusted: { entry: Entry; config: SocketConfig; index: number }[] = [];
    const undo = (): void => {
      for (const { entry, config, index } of adjusted.reverse()) this.#adjust(entry, config, index);
      this.settle(before);
    };
    try {
      for (const config of sockets) {
        for (const [index, key] of socketKeys(config).entries()) {
          const entry = this.#entries.get(key);
          if (entry === undefined) await this.#bind(this.#takenOver(this.#enterOne(config, index, key), sockets));
          else if (entry.config !== config) {
            adjusted.push({ entry, config: entry.config, index: entry.index });
            this.#adjust(entry, config, index);
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
    const addresses = new Set([...this.#entries.values()].map(addressOf));
    for (const entry of gone) {
      clearTimeout(entry.retry);
      if (entry.fd === undefined) continue;
      // The path of a socket that has only changed its name is somebody's still.
      if (entry.config.removeOnStop && !addresses.has(addressOf(entry)))
        removeSocketPath(entry.config, entry.index, entry.fd);
      // The last lane first, so that none moves into the place of another.
      const keys = [entry.key, ...(entry.lanes?.otherKeys() ?? [])].reverse();
      entry.lanes?.close();
      entry.fd.close();
      for (const key of keys) {
        this.#keeper.release(key).catch((error: Error) => {
          this.#log.error(`the keeper did not release ${entry.address}: ${error.message}`, { error });
        });
      }
      this.#log.debug(`socket ${entry.config.name} has left ${entry.address}`);
    }
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
    for (const entry of this.#of(socket)) for (const fd of entryFds(entry)) setNonblocking(fd, false);
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
    for (const entry of this.#of(socket)) this.#steerEntry(entry);
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
    const entries = sockets.flatMap((socket) => this.#of(socket));
    return this.#queues(entries).map(({ entry: { config, address }, queued = 0, drops }) => {
      return { name: config.name, address, queued, drops };
    });
  }

  /** What waits in all sockets of each entry. One look for all of them. */
  #queues(
    entries: readonly Entry[],
  ): readonly { readonly entry: Entry; readonly queued: number | undefined; readonly drops: number }[] {
    const fds = entries.flatMap((entry) => entryFds(entry).map((fd) => ({ entry, fd })));
    const looks = queueLooks(fds.map(({ fd }) => fd));
    const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
    return entries.map((entry) => {
      const own = looks.filter((_, index) => fds[index]?.entry === entry);
      const told = own.flatMap(({ queued }) => queued ?? []);
      return { entry, queued: told.length === 0 ? undefined : sum(told), drops: sum(own.map(({ drops }) => drops)) };
    });
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
      entryFds(entry).map((fd, index) => ({ key: laneKey(entry.key, index + 1), index: 0, inode: fd.identity() })),
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
    const entries = this.#sockets.flatMap((socket) => this.#of(socket));
    return this.#queues(entries).map(({ entry: { config, index, fd, address, error, lanes }, queued }) => {
      const { kind } = config.listen[index]!;
      const listens = kind === "tcp" || kind === "unix" || kind === "unix-seqpacket";
      return {
        name: config.name,
        address,
        kind,
        bound: fd !== undefined,
        services: services(config.name),
        ...(error === undefined ? {} : { error }),
        ...(queued === undefined ? {} : { queued }),
        ...(listens ? { backlog: config.backlog } : {}),
        ...(lanes === undefined ? {} : { lanes: lanes.count }),
      };
    });
  }

  /** Closes our duplicates and, at the end of everything, removes the paths that are to be removed. */
  close(removePaths: boolean): void {
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.retry);
      if (entry.fd === undefined) continue;
      if (removePaths && entry.config.removeOnStop) removeSocketPath(entry.config, entry.index, entry.fd);
      entry.lanes?.close();
      entry.fd.close();
    }
  }

  #of(socket: SocketConfig): readonly Entry[] {
    return socketKeys(socket).flatMap((key) => this.#entries.get(key) ?? []);
  }

  #enter(config: SocketConfig): void {
    for (const [index, key] of socketKeys(config).entries()) {
      if (!this.#entries.has(key)) this.#enterOne(config, index, key);
    }
  }

  #enterOne(config: SocketConfig, index: number, key: string): Entry {
    const entry: Entry = { config, index, key, address: config.listenText[index] ?? "", retryMs: FIRST_RETRY_MS };
    this.#entries.set(key, entry);
    return entry;
  }

  /** An address that another name gives up keeps its socket: the entry gets a duplicate. */
  #takenOver(entry: Entry, wanted: readonly SocketConfig[]): Entry {
    const stays = new Set(wanted.flatMap(socketKeys));
    if (isAnyPort(entry.config.listen[entry.index]!)) return entry;
    const other = [...this.#entries.values()].find(
      (one) => one !== entry && one.fd !== undefined && !stays.has(one.key) && addressOf(one) === addressOf(entry),
    );
    if (other?.fd === undefined) return entry;
    entry.fd = other.fd.duplicate();
    entry.address = other.address;
    adjustSocket(entry.fd, other, entry);
    if (other.lanes === undefined) return entry;
    const lanes = other.lanes.all().slice(1);
    const others = lanes.map((fd) => fd.duplicate());
    // All that are there before any that is new: whoever comes after a crash counts them up from the first.
    for (const [index, fd] of [entry.fd, ...others].entries()) this.#holdLane(entry, laneKey(entry.key, index + 1), fd);
    this.#makeLanes(entry, others);
    return entry;
  }

  #makeLanes(entry: Entry, others: readonly OwnedFd[]): void {
    const { fd } = entry;
    if (fd === undefined || entry.config.distribution === "shared") return;
    const open = (): OwnedFd => openLane(entry, fd);
    const hold = (key: string, lane: OwnedFd): void => this.#holdLane(entry, key, lane);
    entry.lanes = new SocketLanes({ open, hold, key: entry.key }, [fd, ...others]);
    this.#steerEntry(entry);
  }

  #holdLane(entry: Entry, key: string, fd: OwnedFd): void {
    const tag: SocketTag = { v: 1, address: entry.address };
    this.#keeper.hold(key, Buffer.from(JSON.stringify(tag)), [fd], true).catch((error: Error) => {
      this.#log.error(`the keeper does not hold ${entry.address}: ${error.message}`, { error });
    });
  }

  #steerEntry({ lanes, config, index, address }: Entry): void {
    const shares = this.#shares.get(config.name);
    if (lanes === undefined || shares === undefined) return;
    try {
      lanes.steer(shares);
    } catch (error) {
      const { message } = error as Error;
      this.#log.error(`${address} cannot be steered: ${message}`, { error });
      this.#events.add({ type: "socket-failed", message, data: { socket: config.name } });
    }
    this.#lookForStrangers(config, config.listen[index]!, address);
  }

  /** SO_REUSEPORT lets any process of our user into the group, where it gets connections that it may know nothing of. */
  #lookForStrangers(config: SocketConfig, address: Address, text: string): void {
    if (!("port" in address) || address.port === 0) return;
    const ours = this.#ours();
    const [stranger] = serving(address, config.options.ipv6Only === true).filter(({ inode }) => !ours.has(inode));
    if (stranger === undefined) return;
    const message = `${text} is shared with a socket that is not ours (${ownerInWords(ownerOf(stranger))}): it takes connections from the workers; end that process`;
    this.#log.error(message);
    this.#events.add({ type: "socket-shared", message });
  }

  /** Of one port with both families there are two addresses, each with sockets that the other one would take for somebody else's. */
  #ours(): ReadonlySet<bigint> {
    return new Set([...this.#entries.values()].flatMap(entryFds).map((fd) => fd.identity().ino));
  }

  #adjust(entry: Entry, config: SocketConfig, index: number): void {
    const before = { config: entry.config, index: entry.index };
    entry.config = config;
    entry.index = index;
    for (const fd of entryFds(entry)) adjustSocket(fd, before, entry);
  }

  /** Binds it, unless it is already, and has the keeper hold it. Throws SocketOpenError. */
  async #bind(entry: Entry): Promise<void> {
    if (entry.fd === undefined) {
      const opened = openSocket(entry.config, entry.index, resolveIdentity(entry.config), { ours: this.#ours() });
      entry.fd = opened.fd;
      entry.address = opened.address;
    }
    const tag: SocketTag = { v: 1, address: entry.address };
    const held = this.#keeper.hold(entry.key, Buffer.from(JSON.stringify(tag)), [entry.fd], true);
    // After the first one: lanes without it are found by nobody.
    if (entry.lanes === undefined) this.#makeLanes(entry, []);
    await held;
    this.#log.debug(`socket ${entry.config.name} is bound to ${entry.address}`);
  }

  #open(entry: Entry): void {
    clearTimeout(entry.retry);
    const { config } = entry;
    try {
      const opened = openSocket(config, entry.index, resolveIdentity(config), { ours: this.#ours() });
      entry.fd = opened.fd;
      entry.address = opened.address;
      entry.retryMs = FIRST_RETRY_MS;
      const level = entry.error === undefined ? "debug" : "info";
      delete entry.error;
      this.#holdLane(entry, entry.key, opened.fd);
      this.#makeLanes(entry, []);
      this.#log[level](`socket ${config.name} is bound to ${opened.address}`);
    } catch (error) {
      const { message } = error as Error;
      if (entry.error !== message) {
        this.#log.error(`socket ${config.name}: ${message}`, { error });
        this.#events.add({ type: "socket-failed", message, data: { socket: config.name } });
      }
      entry.error = message;
      entry.retry = setTimeout(() => this.#open(entry), entry.retryMs);
      entry.retryMs = Math.min(entry.retryMs * 2, LAST_RETRY_MS);
    }
    this.#changed(config.name);
  }
}

/** One, or one for each lane. */
function entryFds({ fd, lanes }: Entry): readonly OwnedFd[] {
  return lanes?.all() ?? (fd === undefined ? [] : [fd]);
}

function addressOf({ config, index }: Pick<Entry, "config" | "index">): string {
  return canonicalAddress(config.listen[index]!);
}
