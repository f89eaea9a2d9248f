import { ControlTable, MSG_CTRUNC, SCM_CREDENTIALS } from "./control-table.js";
import { credentialNumbers, type UnknownMessage } from "./message.js";
import { type NativeControlBuffer, native } from "./native.js";
import { type Fd, hold, numberOf, OwnedFd } from "./owned-fd.js";
import type { SocketCred } from "./socket-cred.js";

/** Descriptors that came; they belong to whoever took the message. `refused`: errnos (positive) of those that the kernel did not install. */
export interface ScmRights {
  kind: "ScmRights";
  fds: OwnedFd[];
  refused: number[];
}

export interface ScmCredentials {
  kind: "ScmCredentials";
  credentials: SocketCred[];
}

/** SO_PASSPIDFD (Linux 6.5); the descriptor is the receiver's. */
export interface ScmPidfd {
  kind: "ScmPidfd";
  pidfd: OwnedFd;
}

export type AncillaryMessage = ScmRights | ScmCredentials | ScmPidfd | ({ kind: "unknown" } & UnknownMessage);

/** A message that waits to be sent, with the numbers that the kernel will see. */
export type AddedMessage =
  | { kind: "ScmRights"; numbers: number[] }
  | { kind: "ScmCredentials"; credentials: SocketCred[] };

// Filled by SocketAncillary below: the sockets of this library use the buffer itself.
let bufferOf: (ancillary: SocketAncillary) => NativeControlBuffer;
let prepareReceive: (ancillary: SocketAncillary) => void;

/**
 * A buffer for control messages, with the operations of Rust's `std::os::unix::net::SocketAncillary`.
 *
 * It holds either messages that were added and will be sent, or messages that came, never both: the first add after a receive starts from
 * empty, and a send passes on nothing that came. Descriptors that came belong to the buffer until `messages()` hands them out, once; those
 * that nobody took are closed by `clear`, by the next receive or add, and when the buffer is collected.
 */
export class SocketAncillary implements Disposable {
  readonly #buffer: NativeControlBuffer;
  readonly #table: ControlTable;
  readonly #capacity: number;
  #holds: (() => void)[] = [];
  #incoming = false;
  #taken = 0;

  static {
    bufferOf = (ancillary) => ancillary.#buffer;
    prepareReceive = (ancillary) => {
      ancillary.#letGo();
      ancillary.#incoming = true;
      ancillary.#taken = 0;
    };
  }

  /** `capacity` in bytes; one message with n descriptors takes 16 + 4n, rounded up to a multiple of 8. */
  constructor(capacity: number) {
    this.#buffer = new native.ControlBuffer(capacity);
    this.#table = new ControlTable(this.#buffer);
    this.#capacity = capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Bytes in use: the sum of what was added, or what the last receive filled (may be unaligned). */
  get len(): number {
    return this.#table.length;
  }

  get isEmpty(): boolean {
    return this.len === 0;
  }

  /** Whether the last receive lost control messages: too little room, or no descriptor left in this process. Sending and adding reset it. */
  get truncated(): boolean {
    return (this.#table.flags & MSG_CTRUNC) !== 0;
  }

  /** Adds one message with these descriptors. False, and nothing changed, if it does not fit. They stay open until `clear`, even if their owners close them. */
  addFds(fds: readonly Fd[]): boolean {
    const numbers = fds.map(numberOf);
    if (!this.addRawFds(numbers)) return false;
    this.#holds.push(...fds.map(hold));
    return true;
  }

  /** The same with numbers, as Rust's `add_fds` takes them: neither checked nor held. What is wrong with them, the send reports (EBADF). */
  addRawFds(numbers: readonly number[]): boolean {
    this.#startAdding();
    return this.#buffer.addFds(numbers);
  }

  /** Adds one message with these credentials, in the same way. The kernel refuses any count but one when it is sent (EINVAL), and those of others (EPERM). */
  addCreds(creds: readonly SocketCred[]): boolean {
    const numbers = creds.flatMap(credentialNumbers);
    this.#startAdding();
    return this.#buffer.addCredentials(numbers);
  }

  /** The messages of the last receive, in order. Each is handed out once: what a loop has seen is its own, what it has not stays here. */
  *messages(): Generator<AncillaryMessage, void, void> {
    while (this.#incoming && this.#taken < this.#table.messages) {
      const index = this.#taken;
      this.#taken += 1;
      yield this.#take(index);
    }
  }

  /** The messages that wait to be sent. */
  added(): AddedMessage[] {
    if (this.#incoming) return [];
    return Array.from({ length: this.#table.messages }, (_, index) =>
      this.#table.type(index) === SCM_CREDENTIALS
        ? { kind: "ScmCredentials", credentials: this.#table.credentials(index) }
        : { kind: "ScmRights", numbers: this.#table.slots(index) },
    );
  }

  /** Empties the buffer and closes every descriptor that came and that nobody took. */
  clear(): void {
    this.#buffer.clear();
    this.#incoming = false;
    this.#letGo();
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #startAdding(): void {
    this.#incoming = false;
  }

  #letGo(): void {
    for (const release of this.#holds.splice(0)) release();
  }

  #take(index: number): AncillaryMessage {
    const table = this.#table;
    switch (table.kind(index)) {
      case "rights": {
        const slots = table.slots(index);
        this.#buffer.take(index);
        return {
          kind: "ScmRights",
          fds: slots.filter((slot) => slot >= 0).map((slot) => OwnedFd.adopt(slot)),
          refused: slots.filter((slot) => slot < 0).map((slot) => -slot),
        };
      }
      case "pidfd": {
        const [slot = -1] = table.slots(index);
        if (slot < 0) return this.#unknown(index);
        this.#buffer.take(index);
        return { kind: "ScmPidfd", pidfd: OwnedFd.adopt(slot) };
      }
      case "credentials":
        return { kind: "ScmCredentials", credentials: table.credentials(index) };
      case "unknown":
        return this.#unknown(index);
    }
  }

  #unknown(index: number): AncillaryMessage {
    const table = this.#table;
    return { kind: "unknown", level: table.level(index), type: table.type(index), bytes: table.bytes(index) };
  }
}

/** The native buffer, for a send. */
export function nativeBuffer(ancillary: SocketAncillary): NativeControlBuffer {
  if (!(ancillary instanceof SocketAncillary)) throw new TypeError("a SocketAncillary is needed");
  return bufferOf(ancillary);
}

/** The native buffer, for a receive: what was added or came before is gone after it. */
export function nativeBufferToReceive(ancillary: SocketAncillary): NativeControlBuffer {
  const buffer = nativeBuffer(ancillary);
  prepareReceive(ancillary);
  return buffer;
}
