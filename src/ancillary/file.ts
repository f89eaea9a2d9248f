import { constants, fstatSync } from "node:fs";
import { assertInteger } from "./ancillary-error.js";
import { native } from "./native.js";
import { type Fd, numberOf, OwnedFd } from "./owned-fd.js";
import { EAGAIN } from "./socket.js";
import { getSocketOption } from "./socket-option.js";

/** More than this is not a file for `readAll`. */
const mostBytes = 0xffffffff;

/** pipe2(2): close-on-exec, both ends block. */
export function pipe(): [read: OwnedFd, write: OwnedFd] {
  const [read, write] = native.pipe();
  return [OwnedFd.adopt(read), OwnedFd.adopt(write)];
}

/** mkfifo(3); `mode` is cut by the umask. Throws EEXIST. */
export function makeFifo(path: string, mode: number): void {
  assertPath(path);
  assertInteger("mode", mode, 0, 0o7777);
  native.makeFifo(path, mode);
}

/** Opens a fifo for reading and writing, so that it never reaches its end; not blocking, close-on-exec. Throws ENOTSUP if it is none, ELOOP if it is a symbolic link. */
export function openFifo(path: string): OwnedFd {
  assertPath(path);
  return OwnedFd.adopt(native.openFifo(path));
}

/** A file in memory with this content, sealed: nobody can change it. `name` shows up in /proc only; at most 249 bytes. */
export function memfd(name: string, content: Uint8Array): OwnedFd {
  assertPath(name);
  return OwnedFd.adopt(native.memfd(name, content));
}

/** The whole file, from its start; the file offset stays. For memfds and regular files. */
export function readAll(fd: Fd): Buffer {
  const number = numberOf(fd);
  const size = native.fileSize(number);
  assertInteger("the size of the file", size, 0, mostBytes);
  const content = Buffer.alloc(size);
  return content.subarray(0, native.readAt(number, content, 0));
}

/**
 * read(2) into `into`: how many bytes, 0 at the end. On a descriptor that blocks, ask `pollReadable` or a watcher first. Throws TypeError for a unix
 * socket, where the kernel would drop the descriptors that come with the bytes: `receive` is for those.
 */
export function read(fd: Fd, into: Uint8Array): number | "would-block" {
  if (isUnixSocket(fd)) throw new TypeError("a plain read of a unix socket loses descriptors; use receive");
  const n = native.readSome(numberOf(fd), into);
  return n === EAGAIN ? "would-block" : n;
}

function isUnixSocket(fd: Fd): boolean {
  // Asked of the file first: an option of what is no socket is an exception, which costs more than the read.
  const isSocket = (fstatSync(numberOf(fd)).mode & constants.S_IFMT) === constants.S_IFSOCK;
  return isSocket && getSocketOption(fd, "SO_DOMAIN") === 1;
}

function assertPath(path: string): void {
  if (typeof path !== "string") throw new TypeError("a path must be a string");
  if (path.includes("\0")) throw new RangeError("a path cannot contain a NUL");
}
