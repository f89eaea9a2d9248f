import { attachReuseportFilter, type OwnedFd } from "../../../ancillary/index.js";
import type { Share } from "../../lifecycle/steering.js";
import type { Inode } from "../listening.js";
import { steeringProgram } from "./steering-program.js";

export interface LanesInput {
  /** Binds one more socket to the address of the others, as a member of their group. Throws SocketOpenError. */
  readonly open: () => OwnedFd;
  /** Has the keeper hold it before any worker is told of it. */
  readonly hold: (key: string, fd: OwnedFd) => void;
  /** The keeper's key of the first one. */
  readonly key: string;
}

/**
 * The sockets of one steered address, one for each lane.
 *
 * A group is an array in the kernel: a socket that joins it goes last, and the last one moves into the hole of one that is closed. So lanes are opened
 * in the order of their numbers and closed only all together, and lane n stands at place n - 1.
 */
export class SocketLanes {
  readonly #o: LanesInput;
  readonly #fds: OwnedFd[];
  #shares: readonly Share[] = [];

  /** @param fds those that are there already, in the order of their lanes; they are owned from now on, the first one excepted */
  constructor(input: LanesInput, fds: readonly OwnedFd[]) {
    this.#o = input;
    this.#fds = [...fds];
  }

  get count(): number {
    return this.#fds.length;
  }

  /** The keeper's key of a lane, which is opened if it is not there yet. */
  key(lane: number): string {
    this.#reach(lane);
    return laneKey(this.#o.key, lane);
  }

  /** Which lanes get what comes in from now on. */
  steer(shares: readonly Share[]): void {
    this.#shares = shares;
    if (shares.length === 0) return;
    this.#reach(Math.max(...shares.map(({ lane }) => lane)));
    this.#attach();
  }

  /** The socket of a lane, which is opened if it is not there yet. */
  reached(lane: number): OwnedFd {
    this.#reach(lane);
    return this.#fds[lane - 1]!;
  }

  fd(lane: number): OwnedFd | undefined {
    return this.#fds[lane - 1];
  }

  all(): readonly OwnedFd[] {
    return this.#fds;
  }

  inodes(lane: number | undefined): readonly Inode[] {
    return this.#fds.flatMap((fd, index) => (lane === undefined || lane === index + 1 ? [fd.identity()] : []));
  }

  /** Closes our duplicates of all lanes but the first, whose owner is somebody else. */
  close(): void {
    for (const fd of this.#fds.slice(1)) fd.close();
    this.#fds.length = 0;
  }

  /** Keys of all lanes but the first. */
  otherKeys(): readonly string[] {
    return this.#fds.slice(1).map((_, index) => laneKey(this.#o.key, index + 2));
  }

  #reach(lane: number): void {
    const before = this.#fds.length;
    while (this.#fds.length < lane) {
      const fd = this.#o.open();
      this.#fds.push(fd);
      this.#o.hold(laneKey(this.#o.key, this.#fds.length), fd);
    }
    // A probe must reach the new ones.
    if (this.#fds.length > before && this.#shares.length > 0) this.#attach();
  }

  #attach(): void {
    const [first] = this.#fds;
    if (first !== undefined) attachReuseportFilter(first, steeringProgram(this.#shares, this.#fds.length));
  }
}

export function laneKey(key: string, lane: number): string {
  return lane === 1 ? key : `${key}%${lane}`;
}
