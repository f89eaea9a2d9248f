import { AncillaryError, assertInteger } from "./ancillary-error.js";
import { ControlBuffer } from "./control-buffer.js";
import {
  type ControlTable,
  controlSpace,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_PEEK,
  MSG_TRUNC,
  mostBuffers,
  mostFds,
} from "./control-table.js";
import { closeOwners, type Fd, numberOf, OwnedFd } from "./owned-fd.js";
import { EAGAIN } from "./socket.js";
import type { SocketAddress } from "./socket-address.js";
import { isKnown, type SocketCred } from "./socket-cred.js";
import { getSocketOption, socketType } from "./socket-option.js";

/** A control message that this library does not know, or one that was cut. */
export interface UnknownMessage {
  level: number;
  type: number;
  /** The payload, without padding. */
  bytes: Buffer;
}

/** What one receive brought. Everything in it belongs to whoever gets it: each descriptor must be closed or passed on. */
export interface ReceivedMessage {
  data: Buffer;
  fds: OwnedFd[];
  /** Absent when unknown: SO_PASSCRED was not set on the receiver when the message was sent. */
  credentials?: SocketCred;
  /** The sender's, where SO_PASSPIDFD is set (Linux 6.5). */
  pidfd?: OwnedFd;
  /** The sender's security label (SCM_SECURITY), as the security module writes it, where SO_PASSSEC is set. SELinux ends it with a NUL. */
  security?: Buffer;
  /** Errnos (positive) of descriptors that the kernel did not install, where SO_RIGHTS_NOTRUNC is set (Linux 7.3); otherwise it cuts the list instead. */
  refused?: number[];
  unknown: UnknownMessage[];
}

/** What `receive` adds: where it came from, and whether something is missing. */
export type Reception = ReceivedMessage & {
  /** Absent for connected streams and senders without a name. */
  from?: SocketAddress;
  /** Control messages were cut: the buffer was too small, or the process had no descriptor left (EMFILE). */
  truncated: boolean;
  /** The datagram or record was longer than `maxBytes`; its rest is gone. */
  dataTruncated: boolean;
};

/** A message to be sent. Descriptors are used during the call only; the sender keeps its own. */
export interface OutgoingMessage {
  data: Uint8Array | readonly Uint8Array[];
  /** At most 253. */
  fds?: readonly Fd[];
  credentials?: SocketCred;
  to?: SocketAddress;
}

export interface ReceiveOptions {
  /** Room for data, in bytes; 65536 by default. */
  maxBytes?: number;
  /** At most and by default 253; descriptors beyond are closed and count as truncation. */
  maxFds?: number;
  /** False: credentials that come are left out of the result. */
  credentials?: boolean;
  /** False: a pidfd that comes is closed at once. */
  pidfd?: boolean;
  /** Do not throw when control messages were cut; the result says so instead. */
  allowTruncated?: boolean;
  /**
   * MSG_PEEK: the message stays in the queue. Its descriptors are duplicates, new ones at each call. On a stream the kernel shows the next
   * descriptors in the queue, even if they belong to bytes behind `maxBytes`.
   */
  peek?: boolean;
}

const defaultMaxBytes = 65536;
/** Larger receives get a buffer of their own. */
const scratchBytes = 1 << 20;
/** Beside the descriptors: credentials, a pidfd, and room for what a user may have switched on (SO_PASSSEC, SO_TIMESTAMP). */
const otherControlBytes = controlSpace(12) + controlSpace(4) + 320;

// Calls are synchronous and clear what they used, so one buffer for each direction serves all sockets of this thread.
const outgoing = new ControlBuffer(controlSpace(mostFds * 4) + controlSpace(12));
const incoming = new ControlBuffer(controlSpace(mostFds * 4) + otherControlBytes);
const { table } = incoming;
const none: readonly Fd[] = [];
let scratch = Buffer.alloc(defaultMaxBytes);
let room = scratch;

/**
 * sendmsg(2) that never waits and raises no SIGPIPE. Returns how many bytes went out: on a stream it may be fewer than
 * given, and the descriptors and credentials have then gone with the first of them: send the rest without.
 *
 * Throws before anything is sent: TypeError and RangeError for a wrong argument, no data on a stream (the kernel would drop the
 * descriptors without a word) and more than 253 descriptors, ERR_FD_CLOSED. From the kernel: EPIPE, ECONNREFUSED, EMSGSIZE, EPERM (credentials of somebody
 * else), ETOOMANYREFS (too many descriptors in flight for this user: may be tried again once receivers have taken some).
 */
export function send(fd: Fd, message: OutgoingMessage): number | "would-block" {
  return sendWith(fd, message, MSG_DONTWAIT);
}

/** The same with these flags of sendmsg(2). */
export function sendWith(fd: Fd, message: OutgoingMessage, flags: number): number | "would-block" {
  const socket = numberOf(fd);
  const data = checkData(fd, message.data);
  const { fds = none } = message;
  if (!Array.isArray(fds)) throw new TypeError("fds must be an array");
  if (fds.length > mostFds) {
    throw new RangeError(`one message carries at most ${mostFds} descriptors, not ${fds.length}`);
  }
  const { credentials, to } = message;
  if (credentials !== undefined) assertCredentials(credentials);
  const n = outgoing.post(socket, { data, flags, fds, credentials, to });
  return n === EAGAIN ? "would-block" : n;
}

/** Throws RangeError if one of the three is out of its range. */
export function assertCredentials(cred: SocketCred): void {
  assertInteger("pid", cred.pid, -0x80000000, 0x7fffffff);
  assertInteger("uid", cred.uid, 0, 0xffffffff);
  assertInteger("gid", cred.gid, 0, 0xffffffff);
}

function checkData(fd: Fd, data: Uint8Array | readonly Uint8Array[]): Uint8Array | readonly Uint8Array[] {
  if (data instanceof Uint8Array && data.length > 0) return data;
  const buffers = data instanceof Uint8Array ? [data] : data;
  if (!Array.isArray(buffers) || !buffers.every((buffer) => buffer instanceof Uint8Array)) {
    throw new TypeError("data must be a Uint8Array or an array of them");
  }
  if (buffers.every((buffer) => buffer.byteLength === 0) && getSocketOption(fd, "SO_TYPE") === socketType.stream) {
    throw new RangeError("a stream carries nothing without at least one byte of data");
  }
  return buffers.length > mostBuffers ? Buffer.concat(buffers) : data;
}

/**
 * recvmsg(2) that never waits. Received descriptors are owned (close-on-exec), and belong to the caller.
 *
 * "end": the other side closed. A datagram without data is a message, not the end; a record without data is one if it carries descriptors
 * or credentials (the kernel shows no other difference). If control messages were cut, everything that came is closed and
 * ERR_ANCILLARY_TRUNCATED is thrown (its `data` has the bytes), unless `allowTruncated`. From the kernel: ECONNRESET and others.
 */
export function receive(fd: Fd, options: ReceiveOptions = {}): Reception | "would-block" | "end" {
  const { maxBytes = defaultMaxBytes, maxFds = mostFds, allowTruncated = false, peek = false } = options;
  assertInteger("maxBytes", maxBytes, 1, 0x7fffffff);
  assertInteger("maxFds", maxFds, 0, mostFds);
  const into = dataBuffer(maxBytes);
  const limit = controlSpace(maxFds * 4) + otherControlBytes;
  const n = incoming.receive(numberOf(fd), into, MSG_DONTWAIT | (peek ? MSG_PEEK : 0), true, limit);
  if (n === EAGAIN) return "would-block";
  const flags = table.flags;
  if (n === 0 && isEnd(fd)) return "end";
  const message: Reception = {
    data: copyOf(into, n),
    fds: [],
    unknown: [],
    truncated: (flags & MSG_CTRUNC) !== 0,
    dataTruncated: (flags & MSG_TRUNC) !== 0,
  };
  if (table.hasSender) addSender(message);
  if (table.messages > 0) addControl(message, maxFds);
  if (options.credentials === false) delete message.credentials;
  if (options.pidfd === false) {
    message.pidfd?.close();
    delete message.pidfd;
  }
  if (message.truncated && !allowTruncated) {
    closeAll(message);
    throw new AncillaryError(
      "ERR_ANCILLARY_TRUNCATED",
      "control messages were cut (more descriptors than asked for, or none left in this process); those that came were closed",
      { data: message.data },
    );
  }
  return message;
}

/** Closes every descriptor that a message carries and that nobody took. */
export function closeAll(message: Pick<ReceivedMessage, "fds" | "pidfd">): void {
  closeOwners(message.fds);
  message.pidfd?.close();
}

/** Where to receive. The view of the last size is kept, because making one takes nearly as long as a system call. */
function dataBuffer(maxBytes: number): Buffer {
  if (room.length === maxBytes) return room;
  if (maxBytes > scratchBytes) return Buffer.allocUnsafe(maxBytes);
  if (scratch.length < maxBytes) scratch = Buffer.alloc(maxBytes);
  room = scratch.subarray(0, maxBytes);
  return room;
}

/** The first `length` bytes, as the receiver's own. A few are copied one by one, which is faster than to make the view that `set` needs. */
function copyOf(bytes: Buffer, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length);
  if (length > 64) copy.set(bytes.subarray(0, length));
  else for (let index = 0; index < length; index++) copy[index] = bytes[index]!;
  return copy;
}

/** Whether a receive that brought no data met the end. */
function isEnd(fd: Fd): boolean {
  switch (getSocketOption(fd, "SO_TYPE")) {
    case socketType.datagram:
      return false;
    case socketType.stream:
      // No message of a stream is empty. At its end SO_PASSCRED makes the kernel add credentials of nobody: pid, uid and gid 0.
      return true;
    default:
      return table.length === 0 && (table.flags & MSG_CTRUNC) === 0;
  }
}

function addSender(message: Reception): void {
  const sender = incoming.sender();
  if (sender.kind !== "unix" || sender.path !== "") message.from = sender;
}

function addControl(message: Reception, maxFds: number): void {
  for (let index = 0; index < table.messages; index++) {
    switch (table.kind(index)) {
      case "rights":
        addRights(message, index);
        break;
      case "pidfd": {
        const [slot = -1] = table.slots(index);
        if (slot >= 0) message.pidfd = OwnedFd.adopt(slot);
        break;
      }
      case "credentials":
        addCredentials(message, index);
        break;
      case "security":
        message.security = table.bytes(index);
        break;
      case "unknown":
        message.unknown.push({ level: table.level(index), type: table.type(index), bytes: table.bytes(index) });
        break;
    }
  }
  incoming.takeAll();
  if (message.fds.length > maxFds) {
    message.truncated = true;
    for (const extra of message.fds.splice(maxFds)) extra.close();
  }
}

function addRights(message: Reception, index: number): void {
  const { fds, refused } = takeRights(table, index);
  message.fds = message.fds.length === 0 ? fds : [...message.fds, ...fds];
  if (refused.length > 0) message.refused = [...(message.refused ?? []), ...refused];
}

/** The descriptors of one message, as owners, and the errnos (positive) of those that were refused. The buffer must give them away as well. */
export function takeRights(from: ControlTable, message: number): { fds: OwnedFd[]; refused: number[] } {
  const fds: OwnedFd[] = [];
  const refused: number[] = [];
  const count = from.slotCount(message);
  for (let index = 0; index < count; index++) {
    const slot = from.slot(message, index);
    if (slot >= 0) fds.push(OwnedFd.adopt(slot));
    else refused.push(-slot);
  }
  return { fds, refused };
}

function addCredentials(message: Reception, index: number): void {
  const [cred] = table.credentials(index);
  if (cred !== undefined && isKnown(cred)) message.credentials = cred;
}
