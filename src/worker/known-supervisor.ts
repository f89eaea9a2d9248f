import { readFileSync } from "node:fs";
import type { PeerCredentials, SocketCred } from "../ancillary/index.js";

/** Ancestors are looked at up to this depth. */
const MAX_DEPTH = 64;

/** The parent as /proc/PID/stat has it; undefined if it cannot be read: no such process, or a /proc with hidepid. */
export function parentOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name of the program stands in parentheses and may itself contain spaces and parentheses.
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined; // Then the user id alone decides.
  }
}

/**
 * Whom a worker takes orders from.
 *
 * At first that is the process that made the channel (SO_PEERCRED). A supervisor that replaces it after a crash has another pid; what can be checked
 * of it is that it runs as the same user or as root, and, where /proc shows it, that its parent (the keeper) is an ancestor of ours; where that keeper
 * was killed, both we and the one in its place are what its parent was left with. Only a `hello` makes it known. A pid of 0 is a process outside of our pid namespace: there too the user id decides.
 */
export class KnownSupervisor {
  readonly #maker: PeerCredentials;
  readonly #parentOf: (pid: number) => number | undefined;
  /** The one that started us. */
  readonly #keeper: number | undefined;
  #pid: number;

  constructor(maker: PeerCredentials, parent: (pid: number) => number | undefined = parentOf) {
    this.#maker = maker;
    this.#parentOf = parent;
    this.#pid = maker.pid;
    this.#keeper = maker.pid === 0 ? undefined : parent(maker.pid);
  }

  /** @param isHello whether the frame introduces its sender */
  accepts(sender: SocketCred | undefined, isHello: boolean): boolean {
    if (sender === undefined) return false;
    if (sender.pid === this.#pid) return true;
    if (!isHello || (sender.uid !== 0 && sender.uid !== this.#maker.uid)) return false;
    const parent = sender.pid === 0 ? undefined : this.#parentOf(sender.pid);
    if (parent !== undefined && !this.#isAncestor(parent) && !this.#isInPlaceOfKilled(parent)) return false;
    this.#pid = sender.pid;
    return true;
  }

  #isInPlaceOfKilled(keeper: number): boolean {
    const above = this.#parentOf(keeper);
    const isKilled = this.#keeper !== undefined && !this.#isAncestor(this.#keeper);
    return isKilled && above !== undefined && this.#isAncestor(above);
  }

  #isAncestor(pid: number): boolean {
    let ancestor: number | undefined = process.ppid;
    for (let depth = 0; depth < MAX_DEPTH && ancestor !== undefined && ancestor > 0; depth += 1) {
      if (ancestor === pid) return true;
      ancestor = this.#parentOf(ancestor);
    }
    return false;
  }
}
