import { ControlTable } from "./control-table.js";
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

/** Places in `request`: `Field` in native/addon/control_buffer.h. */
const at = {
  fd: 0,
  flags: 1,
  limit: 2,
  withSender: 3,
  message: 4,
  clear: 5,
  count: 6,
  withCredentials: 7,
  pid: 8,
  uid: 9,
  gid: 10,
  items: 11,
} as const;

const { create, addFds, addCredentials, take, send, sendTo, post, postTo, receive, sender } = native.control;
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
  /** False if no descriptor can be in it: nothing came since it was cleared. */
  #mayOwn = false;
  /** The data of the last call. */
  #kept: Uint8Array | undefined;
  #keptSize = 0;

  /** `capacity` in bytes, at most 16 MiB. Throws TypeError and RangeError. */
  constructor(capacity: number) {
    const { handle, memory, table, request } = create(capacity);
    this.#handle = handle;
    this.#request = request;
    this.memory = memory;
    this.table = new ControlTable(table, memory);
  }

  /** Closes what came and was not taken. */
  clear(): void {
    if (this.#mayOwn) {
      this.#mayOwn = false;
      clearNow(this.#handle);
    } else if (this.table.length > 0 || this.table.flags !== 0) {
      // Nothing to close: the next call does it on its way.
      this.#request[at.clear] = 1;
      this.table.forget();
    }
  }

  /** One message with these. False, and nothing added, if it does not fit. Throws ERR_FD_CLOSED. */
  addFds(fds: readonly Fd[]): boolean {
    this.#ask(fds);
    this.#mayOwn = false; // Adding closes what came.
    return addFds(this.#handle);
  }

  /** The same with numbers. */
  addNumbers(numbers: readonly number[]): boolean {
    const request = this.#request;
    request[at.count] = numbers.length; // What there is no room for does not fit the buffer either.
    const room = Math.min(numbers.length, request.length - at.items);
    for (let index = 0; index < room; index++) request[at.items + index] = numbers[index]!;
    this.#mayOwn = false;
    return addFds(this.#handle);
  }

  /** One message with these. False, and nothing added, if it does not fit. */
  addCredentials(list: readonly SocketCred[]): boolean {
    const request = this.#request;
    request[at.count] = list.length;
    let item: number = at.items;
    for (let index = 0; index < list.length && item + 3 <= request.length; index++) {
      const { pid, uid, gid } = list[index]!;
      request[item++] = pid;
      request[item++] = uid;
      request[item++] = gid;
    }
    this.#mayOwn = false;
    return addCredentials(this.#handle);
  }

  /** Gives the descriptors of one message away. */
  take(message: number): void {
    this.#request[at.message] = message;
    take(this.#handle);
  }

  /** Gives the descriptors of all messages away. */
  takeAll(): void {
    this.take(-1);
  }

  /** sendmsg(2) with what was added: bytes, or EAGAIN. */
  send(fd: number, data: NativeData, flags: number, to: SocketAddress | undefined): number {
    this.#request[at.fd] = fd;
    this.#request[at.flags] = flags;
    if (to !== undefined) sendTo(this.#handle, data, ...nativeAddress(to));
    else if (this.#isKept(data)) send(this.#handle);
    else {
      send(this.#handle, data);
      this.#keep(data);
    }
    return this.table.outcome;
  }

  /** Adds, sends and clears in one call: bytes, or EAGAIN. The buffer is empty after it, whatever happened. */
  post(fd: number, { data, flags, fds, credentials, to }: Post): number {
    const request = this.#request;
    request[at.fd] = fd;
    request[at.flags] = flags;
    this.#ask(fds);
    request[at.withCredentials] = credentials === undefined ? 0 : 1;
    if (credentials !== undefined) {
      request[at.pid] = credentials.pid;
      request[at.uid] = credentials.uid;
      request[at.gid] = credentials.gid;
    }
    if (to !== undefined) postTo(this.#handle, data, ...nativeAddress(to));
    else if (this.#isKept(data)) post(this.#handle);
    else {
      post(this.#handle, data);
      this.#keep(data);
    }
    return this.table.outcome;
  }

  /** recvmsg(2) with at most `limit` bytes for control messages: bytes of data, or EAGAIN. What came before and was not taken is closed. */
  receive(fd: number, data: NativeData, flags: number, withSender: boolean, limit: number): number {
    const request = this.#request;
    request[at.fd] = fd;
    request[at.flags] = flags;
    request[at.limit] = limit;
    request[at.withSender] = withSender ? 1 : 0;
    this.#mayOwn = true;
    if (this.#isKept(data)) receive(this.#handle);
    else {
      receive(this.#handle, data);
      this.#keep(data);
    }
    return this.table.outcome;
  }

  /** Of the last receive `withSender`. */
  sender(): SocketAddress {
    return sender(this.#handle);
  }

  /**
   * Whether the native side has this data from the call before: to find where a Uint8Array is takes it longer than the rest of a call. One that
   * was detached meanwhile has no length any more; nothing else moves the bytes of a live one. A call that is made with other data must succeed before `keep`.
   */
  #isKept(data: NativeData): boolean {
    if (data === this.#kept && data.length === this.#keptSize) return true;
    this.#kept = undefined;
    return false;
  }

  #keep(data: NativeData): void {
    if (!(data instanceof Uint8Array) || data.length > mostKept) return;
    this.#kept = data;
    this.#keptSize = data.length;
  }

  #ask(fds: readonly Fd[]): void {
    const request = this.#request;
    const room = request.length - at.items;
    request[at.count] = fds.length;
    for (let index = 0; index < fds.length; index++) {
      const number = numberOf(fds[index]!);
      if (index < room) request[at.items + index] = number;
    }
  }
}
