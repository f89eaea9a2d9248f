import { ControlBuffer } from "./control-buffer.js";
import { MSG_TRUNC, mostBuffers } from "./control-table.js";
import type { NativeData } from "./native.js";
import { type Fd, numberIfOpen, numberOf, type OwnedFd } from "./owned-fd.js";
import { assertOpen, EAGAIN } from "./socket.js";
import type { SocketAddress } from "./socket-address.js";
import { nativeBufferToReceive, nativeBufferToSend, type SocketAncillary } from "./socket-ancillary.js";
import { getSocketOption } from "./socket-option.js";

/** Rust: `&[IoSlice]` and `&mut [IoSliceMut]`. Data of a call: any iterable of byte arrays, read once. */
export type Buffers = Iterable<Uint8Array>;

/** Rust: `ErrorKind::WouldBlock`, as a value. The socket has no room, or nothing waits. */
export type WouldBlock = "would-block";

/** AF_UNIX */
const unixFamily = 1;
const noControl = new ControlBuffer(0);

function listOf(buffers: Buffers): Uint8Array[] {
  const list = [...buffers];
  if (!list.every((buffer) => buffer instanceof Uint8Array)) throw new TypeError("buffers must be Uint8Arrays");
  return list;
}

function bytesIn(list: readonly Uint8Array[]): number {
  return list.reduce((sum, buffer) => sum + buffer.byteLength, 0);
}

/** The one buffer that most calls have: it goes to the native side as it is, without a list made for it. */
function onlyOf(buffers: Buffers): Uint8Array | undefined {
  if (!Array.isArray(buffers) || buffers.length !== 1) return undefined;
  const only: unknown = buffers[0];
  return only instanceof Uint8Array && only.length > 0 ? only : undefined;
}

/** What a socket object takes over: an open unix socket of this type (SO_TYPE). Throws TypeError for another one, ERR_FD_CLOSED. */
export function assertUnixSocket(fd: OwnedFd, type: number): void {
  assertOpen(fd);
  if (getSocketOption(fd, "SO_DOMAIN") !== unixFamily || getSocketOption(fd, "SO_TYPE") !== type) {
    throw new TypeError("the descriptor is a socket of another kind");
  }
}

/** Empties the ancillary after a send that took a part of the data: its messages went with the first byte, and another send would repeat them. */
function conclude(n: number, size: number, ancillary: SocketAncillary | undefined): number | WouldBlock {
  if (n === EAGAIN) return "would-block";
  if (n < size) ancillary?.clear();
  return n;
}

/**
 * One sendmsg(2) on a stream, which takes the first 1024 buffers of a longer list, as a short write. A call with the same single buffer as
 * the one before, which is what a loop does, is short enough for V8 to inline all of it.
 */
export function sendOnStream(
  fd: OwnedFd,
  buffers: Buffers,
  ancillary: SocketAncillary | undefined,
): number | WouldBlock {
  const control = ancillary === undefined ? noControl : nativeBufferToSend(ancillary);
  const number = numberIfOpen(fd);
  if (number < 0 || !control.isSame(buffers)) return sendOther(fd, buffers, control, ancillary);
  const n = control.sendAgain(number);
  return n === control.sameSize ? n : conclude(n, control.sameSize, ancillary);
}

function sendOther(
  fd: OwnedFd,
  buffers: Buffers,
  control: ControlBuffer,
  ancillary: SocketAncillary | undefined,
): number | WouldBlock {
  const only = onlyOf(buffers);
  if (only !== undefined) return conclude(control.send(numberOf(fd), only, undefined), only.length, ancillary);
  const list = listOf(buffers);
  const size = bytesIn(list);
  if (size === 0) throw new RangeError("a stream carries nothing without at least one byte of data");
  const data = list.length > mostBuffers ? list.slice(0, mostBuffers) : list;
  return conclude(control.send(numberOf(fd), data, undefined), size, ancillary);
}

/** One sendmsg(2) on a datagram socket, which answers EMSGSIZE to more than 1024 buffers. */
export function sendDatagram(
  fd: Fd,
  buffers: Buffers,
  options: { ancillary?: SocketAncillary | undefined; to?: SocketAddress | undefined },
): number | WouldBlock {
  const { ancillary, to } = options;
  const control = ancillary === undefined ? noControl : nativeBufferToSend(ancillary);
  const list = listOf(buffers);
  return conclude(control.send(numberOf(fd), list, to), bytesIn(list), ancillary);
}

/** Rust: the tuple that `recv_vectored_with_ancillary_from` gives. `dataTruncated` is true if a datagram was longer than the buffers. */
export interface VectoredReception {
  bytes: number;
  dataTruncated: boolean;
  from?: SocketAddress;
}

function roomOnStream(buffers: Buffers): NativeData {
  const only = onlyOf(buffers);
  if (only !== undefined) return only;
  const list = listOf(buffers);
  const data = list.length > mostBuffers ? list.slice(0, mostBuffers) : list;
  if (bytesIn(data) === 0) {
    throw new RangeError("a receive of no bytes on a stream would take descriptors away and look like its end");
  }
  return data;
}

/** One recvmsg(2) on a stream, into the first 1024 buffers of a longer list. Without a SocketAncillary the kernel drops descriptors that came. */
export function receiveOnStream(
  fd: OwnedFd,
  buffers: Buffers,
  ancillary: SocketAncillary | undefined,
): number | WouldBlock {
  const control = ancillary === undefined ? noControl : nativeBufferToReceive(ancillary);
  const number = numberIfOpen(fd);
  if (number < 0 || !control.isSame(buffers)) return receiveOther(fd, buffers, control, ancillary);
  const n = control.receiveAgain(number);
  return n === EAGAIN ? "would-block" : n;
}

function receiveOther(
  fd: OwnedFd,
  buffers: Buffers,
  control: ControlBuffer,
  ancillary: SocketAncillary | undefined,
): number | WouldBlock {
  try {
    const n = control.receive(numberOf(fd), roomOnStream(buffers), 0, false, control.table.capacity);
    return n === EAGAIN ? "would-block" : n;
  } catch (error) {
    // Whatever failed: nothing of an earlier message is left to be taken for this one's.
    ancillary?.clear();
    throw error;
  }
}

/** One recvmsg(2) on a datagram socket. Without a SocketAncillary the kernel drops descriptors that came. */
export function receiveDatagram(
  fd: Fd,
  buffers: Buffers,
  ancillary: SocketAncillary | undefined,
): VectoredReception | WouldBlock {
  const control = ancillary === undefined ? noControl : nativeBufferToReceive(ancillary);
  let n: number;
  try {
    n = control.receive(numberOf(fd), listOf(buffers), 0, true, control.table.capacity);
  } catch (error) {
    // As above.
    ancillary?.clear();
    throw error;
  }
  if (n === EAGAIN) return "would-block";
  const { table } = control;
  const reception: VectoredReception = { bytes: n, dataTruncated: (table.flags & MSG_TRUNC) !== 0 };
  if (table.hasSender) reception.from = control.sender();
  return reception;
}
