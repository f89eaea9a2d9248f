import { fstatSync } from "node:fs";
import { HangUpWatch, type OwnedFd, sameFile } from "../../../ancillary/index.js";
import type { HeldRecord } from "../keeper/records.js";
import type { ServiceWorld } from "../service-world.js";
import { Complaints } from "./complaints.js";

/**
 * Descriptors that workers leave with us for the next worker of their instance: FDSTORE=1 of sd_pid_notify_with_fds(3).
 *
 * The keeper holds each under `fds/SERVICE/SLOT/N` and gives it to the next worker by that key, so they outlive workers and supervisors. Our own
 * duplicates tell which have hung up, and which one is stored already.
 */
export class FdStore {
  readonly #o: StoreInput;
  #stored: readonly Stored[] = [];
  #last = 0;
  #watch: HangUpWatch | undefined;
  readonly #complaints: Complaints;

  constructor(input: StoreInput) {
    this.#o = input;
    this.#complaints = new Complaints(input.world, () => input.service);
  }

  /** Takes over what the keeper holds for this service since an earlier supervisor. */
  async adopt(held: readonly HeldRecord[]): Promise<void> {
    const own = held
      .map((record) => ({ record, place: placeOf(record.key) }))
      .filter(({ place }) => place?.service === this.#o.service)
      .sort((a, b) => a.place!.number - b.place!.number);
    for (const { record, place } of own) {
      const [fd, ...more] = await this.#o.world.keeper.fetch("held", record.key);
      for (const extra of more) extra.close();
      const tag = decodeTag(record.tag);
      this.#last = Math.max(this.#last, place!.number);
      if (fd === undefined || tag === undefined) {
        fd?.close();
        this.#release(record.key);
      } else this.#keep({ key: record.key, slot: place!.slot, ...tag, fd });
    }
  }

  /** Takes the descriptors. Those that the instance has stored already, and those that are too many, are closed. */
  add(
    slot: number,
    fds: readonly OwnedFd[],
    { name, watched }: { readonly name: string; readonly watched: boolean },
  ): void {
    const { world, service } = this.#o;
    for (const fd of fds) {
      if (this.#has(slot, fd)) {
        fd.close();
        continue;
      }
      if (!this.#hasRoom(slot, name)) {
        fd.close();
        this.#complaints.add(
          "fdstore-full",
          `a descriptor that ${service}/${slot} wanted to store as ${name} was closed: ${this.#fullness()}`,
        );
        continue;
      }
      this.#last += 1;
      const entry = { key: `${PREFIX}${service}/${slot}/${this.#last}`, slot, name, watched, fd };
      world.keeper.hold(entry.key, encodeTag(entry), [fd]).catch((error: Error) => {
        world.count("fdstore-refused");
        world.log.warn(`${service}: a descriptor that it stored is lost, the keeper did not take it: ${error.message}`);
        this.#drop(entry);
      });
      this.#keep(entry);
    }
  }

  /** All of that name. */
  remove(slot: number, name: string): void {
    for (const entry of this.#stored) if (entry.slot === slot && entry.name === name) this.#remove(entry);
  }

  /** For the next worker of an instance, oldest first. */
  forStart(slot: number): readonly { readonly name: string; readonly key: string }[] {
    return this.#of(slot).map(({ name, key }) => ({ name, key }));
  }

  count(slot: number): number {
    return this.#of(slot).length;
  }

  /** Forgets what no start can ask for any more, and what belongs to instances that are not wanted. */
  settle(isWanted: (slot: number) => boolean): void {
    for (const entry of this.#stored) {
      const excess = this.#of(entry.slot).indexOf(entry) >= this.#o.limit();
      if (entry.leaves || excess || !isWanted(entry.slot)) this.#remove(entry);
    }
  }

  /** Lets go of our duplicates; the keeper goes on holding. */
  close(): void {
    for (const { fd } of this.#stored) {
      this.#watch?.delete(fd);
      fd.close();
    }
    this.#stored = [];
    this.#watch?.close();
    this.#watch = undefined;
  }

  #keep(entry: Stored): void {
    this.#stored = [...this.#stored, entry];
    if (!entry.watched) return;
    try {
      this.#watch ??= new HangUpWatch();
      this.#watch.add(entry.fd, () => this.#remove(entry));
    } catch (error) {
      // Whatever a worker has stored, nobody else goes down with it, and the next supervisor neither.
      const words = `a descriptor that it has stored stays even if it hangs up: ${(error as Error).message}`;
      this.#complaints.add("fdstore-unwatched", words);
    }
  }

  /** A start that waits in the keeper would fail without what it names: then it goes later. */
  #remove(entry: Stored): void {
    if (this.#o.isAwaited(entry.slot)) entry.leaves = true;
    else if (this.#drop(entry)) this.#release(entry.key);
  }

  #drop(entry: Stored): boolean {
    if (!this.#stored.includes(entry)) return false;
    this.#stored = this.#stored.filter((other) => other !== entry);
    this.#watch?.delete(entry.fd);
    entry.fd.close();
    return true;
  }

  #release(key: string): void {
    const { keeper, log } = this.#o.world;
    keeper.release(key).catch((error: Error) => log.error(`could not release ${key}: ${error.message}`, { error }));
  }

  #of(slot: number): readonly Stored[] {
    return this.#stored.filter((entry) => entry.slot === slot && entry.leaves !== true);
  }

  #has(slot: number, fd: OwnedFd): boolean {
    return this.#of(slot).some((entry) => isSame(entry.fd, fd));
  }

  #fullness(): string {
    const limit = this.#o.limit();
    if (limit === 0) return "fd_store is not set";
    return `fd_store = ${limit}, and its names may have ${MOST_NAME_BYTES} bytes together`;
  }

  #hasRoom(slot: number, name: string): boolean {
    const own = this.#of(slot);
    const bytes = own.reduce((sum, entry) => sum + entry.name.length + 1, name.length);
    return own.length < this.#o.limit() && bytes <= MOST_NAME_BYTES;
  }
}

export interface StoreInput {
  readonly service: string;
  readonly world: ServiceWorld;
  /** For each instance. */
  readonly limit: () => number;
  /** Whether the keeper has a start of this instance that it may carry out at any time. */
  readonly isAwaited: (slot: number) => boolean;
}

interface Stored {
  readonly key: string;
  readonly slot: number;
  readonly name: string;
  readonly watched: boolean;
  readonly fd: OwnedFd;
  /** To be removed as soon as no start names it. */
  leaves?: boolean;
}

const PREFIX = "fds/";
const VERSION = 1;
/** LISTEN_FDNAMES of what an instance stores: a start is one frame, with everything else that a worker gets. */
const MOST_NAME_BYTES = 4_096;

/** Which service's a held entry is; undefined: it is no stored descriptor. */
export function storingService(key: string): string | undefined {
  return placeOf(key)?.service;
}

function placeOf(key: string): { service: string; slot: number; number: number } | undefined {
  const found = /^fds\/([^/]+)\/(\d+)\/(\d+)$/.exec(key);
  return found === null ? undefined : { service: found[1]!, slot: Number(found[2]), number: Number(found[3]) };
}

function encodeTag({ name, watched }: Stored): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, name, watched }));
}

function decodeTag(tag: Buffer): Pick<Stored, "name" | "watched"> | undefined {
  try {
    const { v, name, watched } = JSON.parse(tag.toString()) as { v: number; name: string; watched: boolean };
    return v === VERSION ? { name, watched } : undefined;
  } catch {
    return undefined;
  }
}

function isSame(one: OwnedFd, other: OwnedFd): boolean {
  const same = sameFile(one, other);
  if (same !== "unknown") return same;
  // As systemd does where kcmp(2) is forbidden: good for sockets and pipes, which have an inode of their own.
  const [a, b] = [fstatSync(one.borrow().number), fstatSync(other.borrow().number)];
  return a.dev === b.dev && a.ino === b.ino;
}
