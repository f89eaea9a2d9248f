import { ControlBuffer } from "./control-buffer.js";
import { MSG_TRUNC, mostBuffers } from "./control-table.js";
import type { NativeData } from "./native.js";
import { type Fd, numberOf, type OwnedFd } from "./owned-fd.js";
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
  return only instanceof Uint8Array && only.byteLength > 0 ? only : undefined;
}

/** What a socket object takes over: an open unix socket of this type (SO_TYPE). Throws TypeError for another one, ERR_FD_CLOSED. */
export function assertUnixSocket(fd: OwnedFd, type: number): void {
  assertOpen(fd);
  if (getSocketOption(fd, "SO_DOMAIN") !== unixFamily || getSocketOption(fd, "SO_TYPE") !== type) {
    throw new TypeError("the descriptor is a socket of another kind");
  }
}

/** What one call sends, and the size of everything that was given. */
function dataToSend(buffers: Buffers, isStream: boolean): { data: NativeData; size: number } {
  const only = onlyOf(buffers);
  if (only !== undefined) return { data: only, size: only.byteLength };
  const list = listOf(buffers);
  const size = bytesIn(list);
  if (isStream && size === 0) throw new RangeError("a stream carries nothing without at least one byte of data");
  return { data: isStream && list.length > mostBuffers ? list.slice(0, mostBuffers) : list, size };
}

/**
 * One sendmsg(2). A stream takes the first 1024 buffers of a longer list, as a short write; a datagram socket answers EMSGSIZE.
 * A send that took a part of the data empties the ancillary: its messages went with the first byte, and another send would repeat them.
 */
export function sendVectored(
  fd: Fd,
  buffers: Buffers,
  options: { ancillary?: SocketAncillary | undefined; to?: SocketAddress | undefined; isStream: boolean },
): number | WouldBlock {
  const { ancillary, to, isStream } = options;
  const control = ancillary === undefined ? noControl : nativeBufferToSend(ancillary);
  const { data, size } = dataToSend(buffers, isStream);
  const n = control.send(numberOf(fd), data, 0, to);
  if (n === EAGAIN) return "would-block";
  if (n < size) ancillary?.clear();
  return n;
}

/** Rust: the tuple that `recv_vectored_with_ancillary_from` gives. `dataTruncated` is true if a datagram was longer than the buffers. */
export interface VectoredReception {
  bytes: number;
  dataTruncated: boolean;
  from?: SocketAddress;
}

function room(buffers: Buffers, isStream: boolean): NativeData {
  const only = onlyOf(buffers);
  if (only !== undefined) return only;
  const list = listOf(buffers);
  const data = isStream && list.length > mostBuffers ? list.slice(0, mostBuffers) : list;
  if (isStream && bytesIn(data) === 0) {
    throw new RangeError("a receive of no bytes on a stream would take descriptors away and look like its end");
  }
  return data;
}

/** One recvmsg(2) into the buffers; a stream fills the first 1024 of a longer list. Without a SocketAncillary the kernel drops descriptors that came. */
export function receiveVectored(
  fd: Fd,
  buffers: Buffers,
  options: { ancillary?: SocketAncillary | undefined; isStream: boolean },
): VectoredReception | WouldBlock {
  const { ancillary, isStream } = options;
  const control = ancillary === undefined ? noControl : nativeBufferToReceive(ancillary);
  let n: number;
  try {
    n = control.receive(numberOf(fd), room(buffers, isStream), 0, !isStream, ancillary?.capacity ?? 0);
  } catch (error) {
    // Whatever failed: nothing of an earlier message is left to be taken for this one's.
    ancillary?.clear();
    throw error;
  }
  if (n === EAGAIN) return "would-block";
  const { table } = control;
  const reception: VectoredReception = { bytes: n, dataTruncated: (table.flags & MSG_TRUNC) !== 0 };
  if (table.hasSender) reception.from = control.sender();
  return reception;
}
