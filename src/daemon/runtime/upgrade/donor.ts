import { memfd, type OwnedFd, read } from "../../../ancillary/index.js";

/**
 * Whether this process may give to the next keeper what the one before held, should that be killed. One supervisor may. In an upgrade there is a
 * moment in which two have all of it, and no message can be sent to both at once: then the one that takes the token may.
 */
export class Donor {
  #mayGive: () => boolean = () => true;

  /** Another supervisor has all as well, and the same token, which may still be on its way to us. */
  contend(token: () => OwnedFd | undefined): void {
    this.#mayGive = () => take(token());
  }

  /** The other one was told that it may end. Whether it has heard that or not, it is not the donor any more. */
  prevail(): void {
    this.#mayGive();
    this.#mayGive = () => true;
  }

  /** The other one is the donor from now on. */
  withdraw(): void {
    this.#mayGive = () => false;
  }

  /** To be asked once the keeper is dead, and once: the answer may be what makes it true. */
  mayGive(): boolean {
    return this.#mayGive();
  }
}

/** Held by the keeper while there are two. */
export function donorToken(): OwnedFd {
  return memfd("holdfast-donor", Buffer.from("t"));
}

/** Whoever reads its one byte has it: all duplicates share the offset, which read(2) moves under a lock. Without a token (of an earlier version) nothing is decided. */
function take(token: OwnedFd | undefined): boolean {
  return token === undefined || read(token, new Uint8Array(1)) === 1;
}
