import { assertInteger } from "./ancillary-error.js";
import type { AddedMessage, AncillaryMessage } from "./ancillary-message.js";
import { ControlBuffer } from "./control-buffer.js";
import { type ControlTable, MSG_CTRUNC, SCM_CREDENTIALS, SCM_RIGHTS } from "./control-table.js";
import { buffersWatched, type Remains } from "./leak-report.js";
import { assertCredentials, takeRights } from "./message.js";
import { type Fd, hold, letGo, numberOfHeld, OwnedFd } from "./owned-fd.js";
import type { SocketCred } from "./socket-cred.js";

// Filled by SocketAncillary below: the sockets of this library use the buffer itself. Functions around these would be one call more for every message.
/** The native buffer as it is. */
export let nativeBuffer: (ancillary: SocketAncillary) => ControlBuffer;
/** The native buffer, for a send. Throws RangeError for credentials that no send takes. */
export let nativeBufferToSend: (ancillary: SocketAncillary) => ControlBuffer;
/** The native buffer, for a receive: what was added or came before is gone after it. */
export let nativeBufferToReceive: (ancillary: SocketAncillary) => ControlBuffer;
let takeNext: (ancillary: SocketAncillary) => AncillaryMessage | undefined;

/** What outlives a SocketAncillary for a moment, so that its finaliser can tell what was left in it. */
class Contents implements Remains {
  readonly table: ControlTable;
  /** Owners that are held, the first `held` of the array, which is used again. */
  readonly #holds: (OwnedFd | undefined)[] = [];
  held = 0;

  constructor(table: ControlTable) {
    this.table = table;
  }

  unclaimed(): number {
    return this.table.unclaimed;
  }

  /** Holds all of them, or none. */
  hold(fds: readonly Fd[]): void {
    const before = this.held;
    try {
      for (let index = 0; index < fds.length; index++) {
        this.#holds[this.held] = hold(fds[index]!);
        this.held += 1;
      }
    } catch (error) {
      this.letGo(before);
      throw error;
    }
  }

  /** What is held as number `index`. */
  number(index: number): number {
    return numberOfHeld(this.#holds[index]!);
  }

  /** All but the first `keep`. */
  letGo(keep = 0): void {
    while (this.held > keep) {
      this.held -= 1;
      const owner = this.#holds[this.held]!;
      this.#holds[this.held] = undefined;
      letGo(owner);
    }
  }
}

/**
 * Rust: `std::os::unix::net::SocketAncillary` (rust-lang/rust#76915). A buffer for control messages, with the same operations.
 *
 * It differs where Rust's loses or repeats descriptors. It holds either messages that were added and will be sent, or messages that
 * came, never both: the first add after a receive starts from empty, and a send passes on nothing that came. Descriptors that came belong
 * to the buffer until `messages()` hands them out, once; those that nobody took are closed by `clear`, by the next receive or add, and
 * when the buffer is collected, which is also reported (a warning, ERR_MESSAGE_UNCLAIMED). It belongs to its thread: a structured clone of it is an
 * empty object, which every function refuses.
 */
export class SocketAncillary implements Disposable {
  readonly #buffer: ControlBuffer;
  readonly #contents: Contents;
  /** Messages of the last receive that were handed out. */
  #taken = 0;
  #hasWrongCredentials = false;

  static {
    nativeBuffer = (ancillary) => ancillary.#buffer;
    takeNext = (ancillary) => {
      const { isIncoming, table } = ancillary.#buffer;
      if (!isIncoming || ancillary.#taken >= table.messages) return undefined;
      ancillary.#taken += 1;
      return ancillary.#take(ancillary.#taken - 1);
    };
    nativeBufferToSend = (ancillary) => {
      if (!(#buffer in ancillary)) refuse();
      if (ancillary.#hasWrongCredentials) refuseCredentials();
      return ancillary.#buffer;
    };
    nativeBufferToReceive = (ancillary) => {
      if (!(#buffer in ancillary)) refuse();
      const contents = ancillary.#contents;
      if (contents.held > 0) contents.letGo();
      ancillary.#taken = 0;
      ancillary.#hasWrongCredentials = false;
      return ancillary.#buffer;
    };
  }

  /**
   * Rust: `SocketAncillary::new(&mut [u8])`. The memory is this object's own, and aligned. `capacity` is in bytes, at most 16 MiB; one message
   * with n descriptors takes 16 + 4n, rounded up to a multiple of 8. Throws TypeError and RangeError.
   */
  constructor(capacity: number) {
    this.#buffer = new ControlBuffer(capacity);
    this.#contents = new Contents(this.#buffer.table);
    buffersWatched.register(this, this.#contents);
  }

  /** Rust: `capacity`. In bytes, as given to the constructor. */
  get capacity(): number {
    return this.#buffer.table.capacity;
  }

  /** Rust: `len`. Bytes in use: the sum of what was added, or what the last receive filled (may be unaligned). 0 after a receive that failed, where Rust keeps the old value. */
  get len(): number {
    return this.#contents.table.length;
  }

  /** Rust: `is_empty`. */
  get isEmpty(): boolean {
    return this.#contents.table.length === 0;
  }

  /**
   * Rust: `truncated`. Whether the last receive lost control messages: too little room, or no descriptor left in this process. Sending, adding
   * and a receive that fails reset it; in Rust a receive that fails does not.
   */
  get truncated(): boolean {
    return (this.#contents.table.flags & MSG_CTRUNC) !== 0;
  }

  /**
   * Rust: `add_fds(&[RawFd])`. Adds one message with these descriptors. False, and nothing changed, if it does not fit. Unlike Rust it takes owners, throws
   * ERR_FD_CLOSED for one that is closed, and keeps them open, even if their owners close them, as long as this buffer has them: until `clear`, the next
   * receive, or a send of a part. A send of everything leaves them, as in Rust, and another one sends them again.
   */
  addFds(fds: readonly Fd[]): boolean {
    if (!Array.isArray(fds)) throw new TypeError("fds must be an array");
    const contents = this.#contents;
    const first = contents.held;
    contents.hold(fds);
    this.#buffer.startAdding();
    const { table } = contents;
    const count = contents.held - first;
    const word = table.add(SCM_RIGHTS, count);
    if (word < 0) {
      contents.letGo(first);
      return false;
    }
    for (let index = 0; index < count; index++) table.setWord(word + index, contents.number(first + index));
    return true;
  }

  /** Rust: `add_fds`, exactly: numbers that are neither checked nor held, for code that is ported. What is wrong with them, the send reports (EBADF). */
  addRawFds(numbers: readonly number[]): boolean {
    if (!Array.isArray(numbers)) throw new TypeError("numbers must be an array");
    for (const number of numbers) assertInteger("a number", number, -0x80000000, 0x7fffffff);
    this.#buffer.startAdding();
    return this.#buffer.addNumbers(numbers);
  }

  /**
   * Rust: `add_creds`. Adds one message with these credentials, in the same way. A send with another count than one per message, which the kernel
   * refuses (EINVAL), throws RangeError before the call. Those of another process need privilege (EPERM from the send).
   */
  addCreds(creds: readonly SocketCred[]): boolean {
    if (!Array.isArray(creds)) throw new TypeError("creds must be an array");
    for (const cred of creds) assertCredentials(cred);
    this.#buffer.startAdding();
    const fits = this.#buffer.addCredentials(creds);
    if (fits && creds.length !== 1) this.#hasWrongCredentials = true;
    return fits;
  }

  /**
   * Rust: `messages`. The messages of the last receive, in order. Each is handed out once: what a loop has seen is its own, what it has not
   * stays here. In Rust a second walk gives the same numbers again, and messages that were added are seen as well: for those, `added`.
   */
  messages(): IterableIterator<AncillaryMessage> {
    return new Untaken(this);
  }

  /** Rust has none. How many descriptors came that nobody took: `clear` closes them, in one call, without an object for each. */
  get unclaimed(): number {
    return this.#contents.table.unclaimed;
  }

  /** The messages that wait to be sent. (Rust shows them in `messages`.) */
  added(): AddedMessage[] {
    const { isIncoming, table } = this.#buffer;
    if (isIncoming) return [];
    return Array.from({ length: table.messages }, (_, index) =>
      table.type(index) === SCM_CREDENTIALS
        ? { kind: "ScmCredentials", credentials: table.credentials(index) }
        : { kind: "ScmRights", numbers: table.slots(index) },
    );
  }

  /** Rust: `clear`, which leaks what came. Empties the buffer and closes every descriptor that came and that nobody took. */
  clear(): void {
    this.#buffer.clear();
    if (this.#contents.held > 0) this.#contents.letGo();
    this.#hasWrongCredentials = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #take(index: number): AncillaryMessage {
    const { table } = this.#contents;
    switch (table.kind(index)) {
      case "rights": {
        this.#buffer.take(index);
        return { kind: "ScmRights", ...takeRights(table, index) };
      }
      case "pidfd": {
        const [slot = -1] = table.slots(index);
        if (slot < 0) return this.#unknown(index);
        this.#buffer.take(index);
        return { kind: "ScmPidfd", pidfd: OwnedFd.adopt(slot) };
      }
      case "credentials":
        return { kind: "ScmCredentials", credentials: table.credentials(index) };
      case "security":
        return { kind: "ScmSecurity", label: table.bytes(index) };
      case "unknown":
        return this.#unknown(index);
    }
  }

  #unknown(index: number): AncillaryMessage {
    const { table } = this.#contents;
    return { kind: "unknown", level: table.level(index), type: table.type(index), bytes: table.bytes(index) };
  }
}

/** What `messages` gives. No generator, because a loop over nothing would pay for one. */
class Untaken implements IterableIterator<AncillaryMessage, void> {
  readonly #ancillary: SocketAncillary;

  constructor(ancillary: SocketAncillary) {
    this.#ancillary = ancillary;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<AncillaryMessage, void> {
    const value = takeNext(this.#ancillary);
    return value === undefined ? { done: true, value } : { done: false, value };
  }
}

function refuse(): never {
  throw new TypeError("a SocketAncillary is needed");
}

function refuseCredentials(): never {
  throw new RangeError("a message carries the credentials of exactly one process");
}
