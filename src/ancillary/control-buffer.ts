import { ControlTable, SCM_CREDENTIALS, SCM_RIGHTS } from "./control-table.js";
import { type ControlHandle, type NativeData, native } from "./native.js";
import { type Fd, numberOf } from "./owned-fd.js";
import { nativeAddress, type SocketAddress } from "./socket-address.js";
import type { SocketCred } from "./socket-cred.js";

/** What one sendmsg(2) carries, all of it checked. */
export interface Post {
  data: NativeData;
  /** Of sendmsg(2). */
  flags: number;
  /** No control message if there are none. */
  fds: readonly Fd[];
  credentials: SocketCred | undefined;
  to: SocketAddress | undefined;
}

/** Larger data is not kept for the next call, because that keeps it alive. */
const mostKept = 65536;

/** Places in `request`: `Field` in native/addon/control_buffer.h. Constants of their own, because V8 counts what a function does before it inlines it. */
const atFd = 0;
const atFlags = 1;
const atLimit = 2;
const atWithSender = 3;
const atMessage = 4;
const atCount = 5;
const atWithCredentials = 6;
const atPid = 7;
const atUid = 8;
const atGid = 9;
const atItems = 10;

/** Stands for no data: nobody else has it. */
const nothing = new Uint8Array(0);

const { create, take, send, sendTo, post, postTo, receive, sender } = native.control;
const clearNow = native.control.clear;

/**
 * A native control buffer, with what is in it as `table`. Callers have checked everything they pass, except whether descriptors are open.
 *
 * Integers reach the native side through an Int32Array that both share: to pass one costs nearly as much as a whole call, to write it
 * there next to nothing.
 */
export class ControlBuffer {
  readonly table: ControlTable;
  /** The bytes themselves. */
  readonly memory: ArrayBuffer;
  readonly #handle: ControlHandle;
  readonly #request: Int32Array;
  /** Whether it holds what came, and perhaps descriptors with it; otherwise what was added. */
  isIncoming = false;
  /** The data of the last call, whose place the native side remembers. */
  #kept: Uint8Array = nothing;
  #keptSize = 0;

  /** `capacity` in bytes, at most 16 MiB. Throws TypeError and RangeError. */
  constructor(capacity: number) {
    const { handle, memory, table, request } = create(capacity);
    this.#handle = handle;
    this.#request = request;
    this.memory = memory;
    this.table = new ControlTable(capacity, table, memory);
  }

  /** Closes what came and was not taken. */
  clear(): void {
    if (this.isIncoming) this.startAdding();
    else this.table.forget();
  }

  /** Makes it hold what is added from now on: what came and was not taken is closed. What was added before stays. */
  startAdding(): void {
    if (!this.isIncoming) return;
    this.isIncoming = false;
    clearNow(this.#handle);
  }

  /** One message with these numbers, once it holds what is added. False, and nothing added, if it does not fit. */
  addNumbers(numbers: readonly number[]): boolean {
    const { table } = this;
    const word = table.add(SCM_RIGHTS, numbers.length);
    if (word < 0) return false;
    for (let index = 0; index < numbers.length; index++) table.setWord(word + index, numbers[index]!);
    return true;
  }

  /** One message with these, in the same way. */
  addCredentials(list: readonly SocketCred[]): boolean {
    const { table } = this;
    let word = table.add(SCM_CREDENTIALS, list.length * 3);
    if (word < 0) return false;
    for (const { pid, uid, gid } of list) {
      table.setWord(word++, pid);
      table.setWord(word++, uid);
      table.setWord(word++, gid);
    }
    return true;
  }

  /** Gives the descriptors of one message away. */
  take(message: number): void {
    this.#request[atMessage] = message;
    take(this.#handle);
  }

  /** Gives the descriptors of all messages away. */
  takeAll(): void {
    this.take(-1);
  }

  /** sendmsg(2) with what was added: bytes, or EAGAIN. */
  send(fd: number, data: NativeData, to: SocketAddress | undefined): number {
    if (to === undefined && this.#isKept(data)) return this.sendAgain(fd);
    this.#request[atFd] = fd;
    this.#request[atFlags] = 0;
    this.#kept = nothing;
    if (to !== undefined) sendTo(this.#handle, data, ...nativeAddress(to));
    else {
      send(this.#handle, data);
      this.#keep(data);
    }
    return this.table.outcome;
  }

  /** Whether these are one buffer, and that of the call before. */
  isSame(buffers: unknown): boolean {
    const kept = this.#kept;
    return Array.isArray(buffers) && buffers.length === 1 && buffers[0] === kept && kept.length === this.#keptSize;
  }

  /** How long the data of the call before is. */
  get sameSize(): number {
    return this.#keptSize;
  }

  /** `send` with the data of the call before, once `isSame` has said so. */
  sendAgain(fd: number): number {
    const request = this.#request;
    request[atFd] = fd;
    request[atFlags] = 0;
    send(this.#handle);
    return this.table.outcome;
  }

  /** Adds, sends and clears in one call: bytes, or EAGAIN. The buffer is empty after it, whatever happened. */
  post(fd: number, { data, flags, fds, credentials, to }: Post): number {
    const request = this.#request;
    request[atFd] = fd;
    request[atFlags] = flags;
    this.#ask(fds);
    request[atWithCredentials] = credentials === undefined ? 0 : 1;
    if (credentials !== undefined) {
      request[atPid] = credentials.pid;
      request[atUid] = credentials.uid;
      request[atGid] = credentials.gid;
    }
    if (to !== undefined) postTo(this.#handle, data, ...nativeAddress(to));
    else if (this.#isKept(data)) post(this.#handle);
    else {
      this.#kept = nothing;
      post(this.#handle, data);
      this.#keep(data);
    }
    return this.table.outcome;
  }

  /** recvmsg(2) with at most `limit` bytes for control messages: bytes of data, or EAGAIN. What came before and was not taken is closed. */
  receive(fd: number, data: NativeData, flags: number, withSender: boolean, limit: number): number {
    const request = this.#request;
    request[atFd] = fd;
    request[atFlags] = flags;
    request[atLimit] = limit;
    request[atWithSender] = withSender ? 1 : 0;
    this.isIncoming = true;
    if (this.#isKept(data)) receive(this.#handle);
    else {
      this.#kept = nothing;
      receive(this.#handle, data);
      this.#keep(data);
    }
    return this.table.outcome;
  }

  /** `receive` into the data of the call before, once `isSame` has said so, with the whole buffer for control messages. */
  receiveAgain(fd: number): number {
    const request = this.#request;
    request[atFd] = fd;
    request[atFlags] = 0;
    request[atLimit] = this.table.capacity;
    request[atWithSender] = 0;
    this.isIncoming = true;
    receive(this.#handle);
    return this.table.outcome;
  }

  /** Of the last receive `withSender`. */
  sender(): SocketAddress {
    return sender(this.#handle);
  }

  /**
   * Whether the native side has this data from the call before: to find where a Uint8Array is takes it longer than the rest of a call. One that
   * was detached meanwhile has no length any more; nothing else moves the bytes of a live one.
   */
  #isKept(data: unknown): boolean {
    return data === this.#kept && this.#kept.length === this.#keptSize;
  }

  /** After a call with this data. Before it, `#kept` is `nothing`: the native side remembers the place also when the call fails. */
  #keep(data: NativeData): void {
    if (!(data instanceof Uint8Array) || data.length === 0 || data.length > mostKept) return;
    this.#kept = data;
    this.#keptSize = data.length;
  }

  #ask(fds: readonly Fd[]): void {
    const request = this.#request;
    const room = request.length - atItems;
    request[atCount] = fds.length;
    for (let index = 0; index < fds.length; index++) {
      const number = numberOf(fds[index]!);
      if (index < room) request[atItems + index] = number;
    }
  }
}
