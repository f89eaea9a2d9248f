import type { SocketCred } from "./socket-cred.js";

/** linux/socket.h */
export const SOL_SOCKET = 1;
export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;
export const SCM_SECURITY = 3;
export const SCM_PIDFD = 4;
export const MSG_PEEK = 0x2;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;

/** SCM_MAX_FD: what one sendmsg(2) can carry, in all its control messages together. */
export const mostFds = 253;
/** IOV_MAX. */
export const mostBuffers = 1024;

const headerSize = 16;
const headFields = 6;
const entryFields = 4;
const ucredSize = 12;

/** What a control message with `payload` bytes takes in the buffer (CMSG_SPACE). */
export function controlSpace(payload: number): number {
  return headerSize + ((payload + 7) & ~7);
}

/** Reads what a native control buffer holds, and writes what it is to send, without calling it: see native/addon/control_buffer.h. */
export class ControlTable {
  /** Of the buffer, in bytes. */
  readonly capacity: number;
  readonly #table: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(capacity: number, table: Int32Array, memory: ArrayBuffer) {
    this.capacity = capacity;
    this.#table = table;
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
  }

  /** Bytes in use; may be unaligned after a receive. */
  get length(): number {
    return this.#table[0]!;
  }
  get flags(): number {
    return this.#table[1]!;
  }
  get messages(): number {
    return this.#table[2]!;
  }
  /** What the last send or receive gave: bytes of data, or EAGAIN. */
  get outcome(): number {
    return this.#table[3]!;
  }
  get hasSender(): boolean {
    return this.#table[4]! > 0;
  }
  /** Descriptors that came and that nobody took. */
  get unclaimed(): number {
    return this.#table[5]!;
  }

  /** Empties a buffer that holds messages to be sent. */
  forget(): void {
    const table = this.#table;
    table[0] = 0;
    table[1] = 0;
    table[2] = 0;
  }

  /**
   * Adds a message of this type to those that will be sent, with room for `count` words. Gives the first of them, for `setWord`: all are to be written. Negative,
   * and nothing added, if it does not fit.
   */
  add(type: number, count: number): number {
    const table = this.#table;
    const words = this.#words;
    table[1] = 0;
    if (count > this.capacity) return -1;
    const length = table[0]!;
    const size = count * 4;
    const end = length + controlSpace(size);
    if (end > this.capacity) return -1;
    const word = length >> 2;
    words[(end >> 2) - 1] = 0; // The padding, if there is any.
    words[word] = headerSize + size;
    words[word + 1] = 0; // cmsg_len has 8 bytes; both machines write the low ones first.
    words[word + 2] = SOL_SOCKET;
    words[word + 3] = type;
    const entry = headFields + table[2]! * entryFields;
    table[entry] = SOL_SOCKET;
    table[entry + 1] = type;
    table[entry + 2] = length + headerSize;
    table[entry + 3] = size;
    table[0] = end;
    table[2] = table[2]! + 1;
    return word + 4;
  }

  setWord(word: number, value: number): void {
    this.#words[word] = value;
  }

  level(message: number): number {
    return this.#table[headFields + message * entryFields]!;
  }
  type(message: number): number {
    return this.#table[headFields + message * entryFields + 1]!;
  }
  size(message: number): number {
    return this.#table[headFields + message * entryFields + 3]!;
  }
  #offset(message: number): number {
    return this.#table[headFields + message * entryFields + 2]!;
  }

  /** What the message is; a credentials message that was cut inside `ucred`, or a pidfd one without its descriptor, is unknown. */
  kind(message: number): "rights" | "credentials" | "pidfd" | "security" | "unknown" {
    if (this.level(message) !== SOL_SOCKET) return "unknown";
    const type = this.type(message);
    if (type === SCM_RIGHTS) return "rights";
    if (type === SCM_CREDENTIALS && this.size(message) >= ucredSize) return "credentials";
    if (type === SCM_SECURITY) return "security";
    return type === SCM_PIDFD && this.size(message) >= 4 ? "pidfd" : "unknown";
  }

  /** How many slots of descriptors the message has. */
  slotCount(message: number): number {
    return this.size(message) >> 2;
  }

  /** A descriptor, or a negative errno where the kernel refused one. */
  slot(message: number, index: number): number {
    return this.#words[(this.#offset(message) >> 2) + index]!;
  }

  slots(message: number): number[] {
    return Array.from({ length: this.slotCount(message) }, (_, index) => this.slot(message, index));
  }

  credentials(message: number): SocketCred[] {
    const list: SocketCred[] = [];
    let at = this.#offset(message) >> 2;
    for (let left = this.size(message); left >= ucredSize; left -= ucredSize, at += 3) {
      list.push({ pid: this.#words[at]!, uid: this.#words[at + 1]! >>> 0, gid: this.#words[at + 2]! >>> 0 });
    }
    return list;
  }

  /** A copy of the payload. */
  bytes(message: number): Buffer {
    const offset = this.#offset(message);
    return Buffer.from(this.#bytes.subarray(offset, offset + this.size(message)));
  }
}
