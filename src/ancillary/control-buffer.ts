import { ControlTable } from "./control-table.js";
import { type ControlHandle, type NativeData, native } from "./native.js";
import { nativeAddress, type SocketAddress } from "./socket-address.js";
import type { SocketCred } from "./socket-cred.js";

/** What one sendmsg(2) carries, all of it checked. */
export interface Post {
  data: NativeData;
  /** Of sendmsg(2). */
  flags: number;
  /** No control message if there are none. */
  fds: readonly number[];
  credentials: SocketCred | undefined;
  to: SocketAddress | undefined;
}

/** Places in `request`: `Field` in native/addon/control_buffer.h. */
const at = {
  fd: 0,
  flags: 1,
  limit: 2,
  withSender: 3,
  message: 4,
  count: 5,
  withCredentials: 6,
  pid: 7,
  uid: 8,
  gid: 9,
  items: 10,
} as const;

const calls = native.control;

/**
 * A native control buffer, with what is in it as `table`. Descriptors are bare numbers here, and callers have checked everything they pass.
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

  /** `capacity` in bytes, at most 16 MiB. Throws TypeError and RangeError. */
  constructor(capacity: number) {
    const { handle, memory, table, request } = calls.create(capacity);
    this.#handle = handle;
    this.#request = request;
    this.memory = memory;
    this.table = new ControlTable(table, memory);
  }

  /** Closes what came and was not taken. */
  clear(): void {
    calls.clear(this.#handle);
  }

  /** One message with these. False, and nothing added, if it does not fit. */
  addFds(numbers: readonly number[]): boolean {
    this.#ask(numbers);
    return calls.addFds(this.#handle);
  }

  /** One message with these. False, and nothing added, if it does not fit. */
  addCredentials(list: readonly SocketCred[]): boolean {
    this.#ask(list.flatMap(({ pid, uid, gid }) => [pid, uid, gid]));
    this.#request[at.count] = list.length;
    return calls.addCredentials(this.#handle);
  }

  /** Gives the descriptors of one message away. */
  take(message: number): void {
    this.#request[at.message] = message;
    calls.take(this.#handle);
  }

  /** Gives the descriptors of all messages away. */
  takeAll(): void {
    this.take(-1);
  }

  /** sendmsg(2) with what was added: bytes, or EAGAIN. */
  send(fd: number, data: NativeData, flags: number, to: SocketAddress | undefined): number {
    this.#request[at.fd] = fd;
    this.#request[at.flags] = flags;
    return to === undefined ? calls.send(this.#handle, data) : calls.sendTo(this.#handle, data, ...nativeAddress(to));
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
    return to === undefined ? calls.post(this.#handle, data) : calls.postTo(this.#handle, data, ...nativeAddress(to));
  }

  /** recvmsg(2) with at most `limit` bytes for control messages: bytes of data, or EAGAIN. What came before and was not taken is closed. */
  receive(fd: number, data: NativeData, flags: number, withSender: boolean, limit: number): number {
    const request = this.#request;
    request[at.fd] = fd;
    request[at.flags] = flags;
    request[at.limit] = limit;
    request[at.withSender] = withSender ? 1 : 0;
    return calls.receive(this.#handle, data);
  }

  /** Of the last receive `withSender`. */
  sender(): SocketAddress {
    return calls.sender(this.#handle);
  }

  #ask(items: readonly number[]): void {
    const request = this.#request;
    const room = Math.min(items.length, request.length - at.items);
    request[at.count] = items.length; // What there is no room for does not fit the buffer either.
    for (let index = 0; index < room; index++) request[at.items + index] = items[index]!;
  }
}
