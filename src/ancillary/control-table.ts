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

const headFields = 5;
const entryFields = 4;
const ucredSize = 12;

/** What a control message with `payload` bytes takes in the buffer (CMSG_SPACE). */
export function controlSpace(payload: number): number {
  return 16 + ((payload + 7) & ~7);
}

/** Reads what a native control buffer holds, without calling it: see native/addon/control_buffer.h. */
export class ControlTable {
  readonly #table: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(table: Int32Array, memory: ArrayBuffer) {
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
  /** Makes messages that wait to be sent invisible. The native side is told before it uses them. */
  forget(): void {
    const table = this.#table;
    table[0] = table[1] = table[2] = 0;
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

  /** How many descriptors came in this message and those after it. */
  descriptorsFrom(message: number): number {
    let count = 0;
    for (let index = message; index < this.messages; index++) {
      const kind = this.kind(index);
      if (kind !== "rights" && kind !== "pidfd") continue;
      for (let at = this.slotCount(index) - 1; at >= 0; at--) if (this.slot(index, at) >= 0) count += 1;
    }
    return count;
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
