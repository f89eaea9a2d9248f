import { ControlTable, MSG_TRUNC, mostBuffers } from "./control-table.js";
import { native } from "./native.js";
import { type Fd, numberOf } from "./owned-fd.js";
import { EAGAIN } from "./socket.js";
import { nativeAddress, type SocketAddress } from "./socket-address.js";
import { nativeBuffer, nativeBufferToReceive, type SocketAncillary } from "./socket-ancillary.js";

/** Data of a call: any iterable of byte arrays, read once. */
export type Buffers = Iterable<Uint8Array>;

/** The socket has no room, or nothing waits. (Rust: ErrorKind::WouldBlock.) */
export type WouldBlock = "would-block";

const noControl = new native.ControlBuffer(0);
const noControlTable = new ControlTable(noControl);

function listOf(buffers: Buffers): Uint8Array[] {
  const list = [...buffers];
  if (!list.every((buffer) => buffer instanceof Uint8Array)) throw new TypeError("buffers must be Uint8Arrays");
  return list;
}

function isEmpty(list: readonly Uint8Array[]): boolean {
  return list.every((buffer) => buffer.byteLength === 0);
}

/** One sendmsg(2). A stream takes the first 1024 buffers of a longer list, as a short write; a datagram socket answers EMSGSIZE. */
export function sendVectored(
  fd: Fd,
  buffers: Buffers,
  options: { ancillary?: SocketAncillary | undefined; to?: SocketAddress | undefined; isStream: boolean },
): number | WouldBlock {
  const control = options.ancillary === undefined ? noControl : nativeBuffer(options.ancillary);
  let list = listOf(buffers);
  if (options.isStream) {
    if (isEmpty(list)) throw new RangeError("a stream carries nothing without at least one byte of data");
    list = list.slice(0, mostBuffers);
  }
  const n =
    options.to === undefined
      ? control.send(numberOf(fd), list, 0)
      : control.send(numberOf(fd), list, 0, ...nativeAddress(options.to));
  return n === EAGAIN ? "would-block" : n;
}

/** What one recvmsg(2) brought; `dataTruncated` is true if a datagram was longer than the buffers. */
export interface VectoredReception {
  bytes: number;
  dataTruncated: boolean;
  from?: SocketAddress;
}

/** One recvmsg(2) into the buffers. Without a SocketAncillary the kernel drops descriptors that came. */
export function receiveVectored(
  fd: Fd,
  buffers: Buffers,
  options: { ancillary?: SocketAncillary | undefined; isStream: boolean },
): VectoredReception | WouldBlock {
  const list = listOf(buffers);
  const number = numberOf(fd);
  if (options.isStream && isEmpty(list)) {
    throw new RangeError("a receive of no bytes on a stream would take descriptors away and look like its end");
  }
  const { ancillary } = options;
  const control = ancillary === undefined ? noControl : nativeBufferToReceive(ancillary);
  const n = control.receive(number, list, 0, !options.isStream, ancillary?.capacity ?? 0);
  if (n === EAGAIN) return "would-block";
  const table = ancillary === undefined ? noControlTable : new ControlTable(control);
  const reception: VectoredReception = { bytes: n, dataTruncated: (table.flags & MSG_TRUNC) !== 0 };
  if (table.hasSender) reception.from = control.sender();
  return reception;
}
