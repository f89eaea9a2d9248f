import type { OwnedFd } from "../../ancillary/index.js";
import type { SocketConfig } from "../config/config.js";
import type { Share } from "../lifecycle/steering.js";
import type { EventLog } from "./event-log.js";
import { resolveIdentity } from "./identity.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";
import type { Logger } from "./logger.js";
import { canonicalAddress } from "./socket-key.js";
import { adjustSocket, openLane, openSocket, removeSocketPath, type SocketPlace } from "./socket-opener.js";
import { laneKey, SocketLanes } from "./steering/socket-lanes.js";
import { strangerAt } from "./steering/stranger.js";

interface SocketTag {
  readonly v: 1;
  readonly address: string;
}

export interface EntryWorld {
  readonly keeper: Keeper;
  readonly log: Logger;
  readonly events: EventLog;
  /** All sockets that we hold, by their inodes. */
  readonly ours: () => ReadonlySet<bigint>;
  /** What was asked for last, by the name of a steered socket. */
  readonly shares: (socket: string) => readonly Share[] | undefined;
  /** It was bound, or its error changed. */
  readonly changed: (socket: string) => void;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/**
 * One address of a socket: bound once, held by the keeper, found again by the next supervisor; of a steered one with its lanes. One that cannot be bound is
 * tried again with growing pauses.
 */
export class SocketEntry implements SocketPlace {
  readonly #o: EntryWorld;
  readonly key: string;
  #config: SocketConfig;
  #index: number;
  #address: string;
  #fd: OwnedFd | undefined;
  #lanes: SocketLanes | undefined;
  #error: string | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retry: NodeJS.Timeout | undefined;

  constructor({ config, index }: SocketPlace, key: string, world: EntryWorld) {
    this.#o = world;
    this.key = key;
    this.#config = config;
    this.#index = index;
    this.#address = config.listenText[index] ?? "";
  }

  get config(): SocketConfig {
    return this.#config;
  }

  /** Its place in `config.listen`. */
  get index(): number {
    return this.#index;
  }

  /** As it is bound. */
  get address(): string {
    return this.#address;
  }

  /** As it is configured, whatever the socket's name. */
  get canonical(): string {
    return canonicalAddress(this.#config.listen[this.#index]!);
  }

  /** Our duplicate; the keeper has its own. undefined: it is not bound. */
  get fd(): OwnedFd | undefined {
    return this.#fd;
  }

  /** Of a steered socket that is bound. */
  get lanes(): SocketLanes | undefined {
    return this.#lanes;
  }

  /** Why it is not bound. */
  get error(): string | undefined {
    return this.#error;
  }

  /** One, or one for each lane. */
  fds(): readonly OwnedFd[] {
    return this.#lanes?.all() ?? (this.#fd === undefined ? [] : [this.#fd]);
  }

  /** Takes over what an earlier supervisor had bound. */
  async adopt(known: ReadonlyMap<string, HeldRecord>): Promise<void> {
    const { keeper } = this.#o;
    const record = known.get(this.key);
    if (record === undefined) return;
    const [fd] = await keeper.fetch("held", this.key);
    if (fd === undefined) return;
    this.#fd = fd;
    this.#address = (JSON.parse(record.tag.toString()) as SocketTag).address;
    const others: OwnedFd[] = [];
    for (let lane = 2; known.has(laneKey(this.key, lane)); lane += 1) {
      others.push(...(await keeper.fetch("held", laneKey(this.key, lane))));
    }
    this.#makeLanes(others);
  }

  /** The socket of another name that gives up this address stays: here is a duplicate of it. */
  takeOver(other: SocketEntry): void {
    if (other.#fd === undefined) return;
    this.#fd = other.#fd.duplicate();
    this.#address = other.#address;
    adjustSocket(this.#fd, other, this);
    if (other.#lanes === undefined) return;
    const lanes = other.#lanes.all().slice(1);
    const others = lanes.map((fd) => fd.duplicate());
    // All that are there before any that is new: whoever comes after a crash counts them up from the first.
    for (const [index, fd] of [this.#fd, ...others].entries()) this.#hold(laneKey(this.key, index + 1), fd);
    this.#makeLanes(others);
  }

  /** Binds it, unless it is already, and has the keeper hold it. Throws SocketOpenError. */
  async bind(): Promise<void> {
    if (this.#fd === undefined) this.#bound();
    const held = this.#heldBy(this.key, this.#fd!);
    // After the first one: lanes without it are found by nobody.
    if (this.#lanes === undefined) this.#makeLanes([]);
    await held;
    this.#o.log.debug(`socket ${this.#config.name} is bound to ${this.#address}`);
  }

  /** Binds it, now or later. */
  open(): void {
    clearTimeout(this.#retry);
    const { log, events, changed } = this.#o;
    const { name } = this.#config;
    try {
      const fd = this.#bound();
      this.#retryMs = FIRST_RETRY_MS;
      const level = this.#error === undefined ? "debug" : "info";
      this.#error = undefined;
      this.#hold(this.key, fd);
      this.#makeLanes([]);
      log[level](`socket ${name} is bound to ${this.#address}`);
    } catch (error) {
      const { message } = error as Error;
      if (this.#error !== message) {
        log.error(`socket ${name}: ${message}`, { error });
        events.add({ type: "socket-failed", message, data: { socket: name } });
      }
      this.#error = message;
      this.#retry = setTimeout(() => this.open(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    }
    changed(name);
  }

  /** Changes on the bound socket what can be changed there. Throws SocketOpenError. */
  adjust(config: SocketConfig, index: number): void {
    const before = { config: this.#config, index: this.#index };
    this.#config = config;
    this.#index = index;
    for (const fd of this.fds()) adjustSocket(fd, before, this);
  }

  /** Sends what comes in from now on to the lanes that were asked for last, if it has any. */
  steer(): void {
    const { log, events, ours, shares: asked } = this.#o;
    const shares = asked(this.#config.name);
    if (this.#lanes === undefined || shares === undefined) return;
    try {
      this.#lanes.steer(shares);
    } catch (error) {
      const { message } = error as Error;
      log.error(`${this.#address} cannot be steered: ${message}`, { error });
      events.add({ type: "socket-failed", message, data: { socket: this.#config.name } });
    }
    const message = strangerAt(this, this.#address, ours);
    if (message === undefined) return;
    log.error(message);
    events.add({ type: "socket-shared", message });
  }

  /** Closes our duplicates. With `removePath` what is to be removed with it, as `remove_on_stop` says. */
  close(removePath: boolean): void {
    clearTimeout(this.#retry);
    if (this.#fd === undefined) return;
    if (removePath && this.#config.removeOnStop) removeSocketPath(this.#config, this.#index, this.#fd);
    this.#lanes?.close();
    this.#fd.close();
  }

  /** Closes it, and the keeper's as well. */
  leave(removePath: boolean): void {
    const { keeper, log } = this.#o;
    // The last lane first, so that none moves into the place of another.
    const keys = [this.key, ...(this.#lanes?.otherKeys() ?? [])].reverse();
    this.close(removePath);
    if (this.#fd === undefined) return;
    for (const key of keys) {
      keeper.release(key).catch((error: Error) => {
        log.error(`the keeper did not release ${this.#address}: ${error.message}`, { error });
      });
    }
    log.debug(`socket ${this.#config.name} has left ${this.#address}`);
  }

  #bound(): OwnedFd {
    const identity = resolveIdentity(this.#config);
    const { fd, address } = openSocket(this.#config, this.#index, identity, { ours: this.#o.ours() });
    this.#fd = fd;
    this.#address = address;
    return fd;
  }

  #makeLanes(others: readonly OwnedFd[]): void {
    const fd = this.#fd;
    if (fd === undefined || this.#config.distribution === "shared") return;
    const open = (): OwnedFd => openLane(this, fd);
    const hold = (key: string, lane: OwnedFd): void => this.#hold(key, lane);
    this.#lanes = new SocketLanes({ open, hold, key: this.key }, [fd, ...others]);
    this.steer();
  }

  #hold(key: string, fd: OwnedFd): void {
    this.#heldBy(key, fd).catch((error: Error) => {
      this.#o.log.error(`the keeper does not hold ${this.#address}: ${error.message}`, { error });
    });
  }

  #heldBy(key: string, fd: OwnedFd): Promise<void> {
    const tag: SocketTag = { v: 1, address: this.#address };
    return this.#o.keeper.hold(key, Buffer.from(JSON.stringify(tag)), [fd], true);
  }
}
