import { fstatSync } from "node:fs";
import { AncillaryError, assertInteger } from "./ancillary-error.js";
import { ownersWatched } from "./leak-report.js";
import { native } from "./native.js";
import { threadDescriptors } from "./thread-descriptors.js";

// Filled by OwnedFd below: what this library may do with a descriptor, and its users may not.
let lend: (owner: OwnedFd) => number;
/** The number of an owner, negative once it was closed or released. Where every instruction counts; otherwise `numberOf`. */
export let numberIfOpen: (owner: OwnedFd) => number;
let holdOwner: (owner: OwnedFd) => void;
let heldNumber: (owner: OwnedFd) => number;
let letGoOwner: (owner: OwnedFd) => void;
let ownerOf: (borrowed: BorrowedFd) => OwnedFd;
let makeBorrowed: (owner: OwnedFd) => BorrowedFd;
let watchSurvivors: () => void;
let takeToClose: (owner: OwnedFd) => number;

/**
 * Owners made since the last look. Most are closed within the same turn, so only those that survive it are given to the finaliser's registry, which
 * costs more than closing a descriptor.
 */
const young: OwnedFd[] = [];
const mostYoung = 256;
let lookIsPlanned = false;

function planLook(): void {
  if (young.length >= mostYoung) watchSurvivors();
  if (lookIsPlanned) return;
  lookIsPlanned = true;
  queueMicrotask(() => {
    lookIsPlanned = false;
    watchSurvivors();
  });
}

function refuseClosed(): never {
  throw new AncillaryError("ERR_FD_CLOSED", "the descriptor was closed or released");
}

/**
 * A descriptor for use during a call. Made by `OwnedFd.borrow()`, valid until the owner closes or releases it. Do not store one.
 */
export class BorrowedFd {
  readonly #owner: OwnedFd;

  static {
    ownerOf = (borrowed) => borrowed.#owner;
    makeBorrowed = (owner) => new BorrowedFd(owner);
  }

  private constructor(owner: OwnedFd) {
    this.#owner = owner;
  }

  /** The number. Throws ERR_FD_CLOSED once the owner has closed or released it. */
  get number(): number {
    return lend(this.#owner);
  }
}

/**
 * An open descriptor with exactly one owner: this object. It is closed by `close`, by `using`, or given away by `release`.
 *
 * One that is collected before is reported (a warning, ERR_FD_LEAKED) and stays open. One that a worker thread owns when it ends is closed.
 * It belongs to its thread: a structured clone is an empty object, which every function refuses. Send the number of `release()` instead, and adopt it there.
 */
export class OwnedFd implements Disposable {
  /** Negative once it was closed or released. */
  #number: number;
  #holds = 0;
  /** What is closed when the last hold ends; negative if nothing is. */
  #closing = -1;
  #isWatched = false;

  static {
    watchSurvivors = () => {
      for (const owner of young) {
        if (owner.#number < 0) continue;
        ownersWatched.register(owner, owner.#number, owner);
        owner.#isWatched = true;
      }
      young.length = 0;
    };
    numberIfOpen = (owner) => owner.#number;
    lend = (owner) => {
      if (owner.#number < 0) refuseClosed();
      return owner.#number;
    };
    holdOwner = (owner) => {
      lend(owner);
      owner.#holds += 1;
    };
    heldNumber = (owner) => (owner.#number < 0 ? owner.#closing : owner.#number);
    takeToClose = (owner) => {
      const number = owner.#number;
      if (number < 0) return -1;
      owner.#number = -1;
      if (owner.#holds === 0) return owner.#forget(number);
      owner.#closing = number;
      return -1;
    };
    letGoOwner = (owner) => {
      owner.#holds -= 1;
      if (owner.#holds > 0 || owner.#closing < 0) return;
      const number = owner.#closing;
      owner.#closing = -1;
      native.close(owner.#forget(number));
    };
  }

  private constructor(number: number) {
    this.#number = number;
    threadDescriptors?.own(number);
    young.push(this);
    planLook();
  }

  /** Takes ownership of a raw number (0 is valid). For the border only: numbers from the kernel, LISTEN_FDS, or another library's `release`. */
  static adopt(fd: number): OwnedFd {
    assertInteger("a descriptor", fd, 0, 0x7fffffff);
    return new OwnedFd(fd);
  }

  borrow(): BorrowedFd {
    lend(this);
    return makeBorrowed(this);
  }

  /** Gives ownership away, e.g. to `new net.Socket({ fd })`: using this object again throws. ERR_FD_HELD while a message waits to be sent with it. */
  release(): number {
    const number = lend(this);
    if (this.#holds > 0)
      throw new AncillaryError("ERR_FD_HELD", "the descriptor is part of a message that is not sent");
    this.#number = -1;
    return this.#forget(number);
  }

  /** A second descriptor for the same open file, close-on-exec. Throws EMFILE. */
  duplicate(): OwnedFd {
    return OwnedFd.adopt(native.duplicate(lend(this)));
  }

  /** Idempotent. A descriptor that waits to be sent counts as closed at once, and is closed when it has been sent. */
  close(): void {
    const number = takeToClose(this);
    if (number >= 0) native.close(number);
  }

  /** True once it was closed or released. */
  get closed(): boolean {
    return this.#number < 0;
  }

  /** What file this is, and its type and permission bits: equal `dev` and `ino` mean the same file or socket. */
  identity(): { dev: bigint; ino: bigint; mode: number } {
    const { dev, ino, mode } = fstatSync(lend(this), { bigint: true });
    return { dev, ino, mode: Number(mode) };
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Before the number is closed or given away, because another file may have it at once. */
  #forget(number: number): number {
    threadDescriptors?.disown(number);
    if (this.#isWatched) ownersWatched.unregister(this);
    return number;
  }
}

/** Functions that use a descriptor only during the call take either. */
export type Fd = OwnedFd | BorrowedFd;

function ownerFor(fd: Fd): OwnedFd {
  if (fd instanceof OwnedFd) return fd;
  if (fd instanceof BorrowedFd) return ownerOf(fd);
  throw new TypeError("an OwnedFd or a BorrowedFd is needed");
}

const closing = new Int32Array(256);

/** `close()` for each of them, in one call of the addon. A failure is thrown when all have been tried. */
export function closeOwners(owners: readonly OwnedFd[]): void {
  for (let first = 0; first < owners.length; first += closing.length) {
    let count = 0;
    const end = Math.min(owners.length, first + closing.length);
    for (let index = first; index < end; index++) {
      const number = takeToClose(owners[index]!);
      if (number >= 0) closing[count++] = number;
    }
    if (count > 0) native.closeMany(closing, count);
  }
}

/** The number, for a system call that is made now. Throws ERR_FD_CLOSED. */
export function numberOf(fd: Fd): number {
  return lend(ownerFor(fd));
}

/** Keeps the descriptor open, whatever its owner does, until `letGo` is called with the owner that this returns: once for each hold. Throws ERR_FD_CLOSED. */
export function hold(fd: Fd): OwnedFd {
  const owner = ownerFor(fd);
  holdOwner(owner);
  return owner;
}

/** The number of a descriptor that is held, also when its owner has closed it meanwhile. */
export function numberOfHeld(held: OwnedFd): number {
  return heldNumber(held);
}

export function letGo(held: OwnedFd): void {
  letGoOwner(held);
}

/** A second descriptor for the same open file, owned by the caller. */
export function duplicate(fd: Fd): OwnedFd {
  return ownerFor(fd).duplicate();
}
