import { randomBytes } from "node:crypto";
import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  type Stats,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { connect, makeFifo, type OwnedFd, openFifo, setNonblocking, socket } from "../../ancillary/index.js";
import type { Address } from "../config/config.js";
import { inUse, SocketOpenError } from "./socket-open-error.js";

type UnixAddress = Extract<Address, { readonly kind: "unix" | "unix-dgram" | "unix-seqpacket" }>;

export interface PathOwner {
  readonly uid?: number;
  readonly gid?: number;
}

/** sizeof(sockaddr_un.sun_path) less the NUL, unix(7). */
const MAX_UNIX_PATH_BYTES = 107;

/**
 * Makes the folders and sees to it that the path can be bound: "free", or "in-use" by a socket that is to be replaced.
 * Throws SocketOpenError `path-occupied` for what is not a socket, `address-in-use` for a socket that answers.
 */
export function claimPath(address: UnixAddress, text: string, replace: boolean): "free" | "in-use" {
  assertPathFits(address.path, text);
  mkdirSync(dirname(address.path), { recursive: true, mode: 0o755 });
  const there = lstatSync(address.path, { throwIfNoEntry: false });
  if (there === undefined) return "free";
  if (!there.isSocket()) throw occupied(text, address.path, there);
  if (replace) return "in-use";
  if (isAnswered(address)) throw inUse(address, text);
  removePath(address.path, "socket");
  return "free";
}

/** Throws SocketOpenError `path-unusable`. */
export function assertPathFits(path: string, text: string): void {
  if (Buffer.byteLength(path) <= MAX_UNIX_PATH_BYTES) return;
  const reason = `${path} is too long: the path of a unix socket has at most ${MAX_UNIX_PATH_BYTES} bytes; choose a shorter one`;
  throw new SocketOpenError("path-unusable", text, reason);
}

/** A name in the same folder that nobody looks for. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${randomBytes(6).toString("hex")}`);
}

/** rename(2): whoever connects finds the old socket or the new one. */
export function putInPlace(temporary: string, path: string): void {
  renameSync(temporary, path);
}

/** The owner first: from the moment the mode lets anybody in, it is the right ones. */
export function setPathOwner(path: string, mode: number, { uid, gid }: PathOwner): void {
  // 4294967295 is -1: chown(2) leaves that one as it is.
  if (uid !== undefined || gid !== undefined) lchownSync(path, uid ?? 0xffffffff, gid ?? 0xffffffff);
  chmodSync(path, mode);
}

/** Makes the fifo or takes the one that is there; open for reading and writing, so that it never ends; blocking. */
export function openFifoPath(path: string, mode: number, owner: PathOwner, text: string): OwnedFd {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) makeFifo(path, 0o600);
  else if (!there.isFIFO()) throw occupied(text, path, there);
  const fd = openFifo(path);
  try {
    setNonblocking(fd, false);
    setPathOwner(path, mode, owner);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** Makes or turns each link; throws SocketOpenError `path-occupied` for what is there and no link. */
export function linkSymlinks(links: readonly string[], target: string, text: string): void {
  for (const link of links) {
    mkdirSync(dirname(link), { recursive: true, mode: 0o755 });
    const there = lstatSync(link, { throwIfNoEntry: false });
    if (there !== undefined && !there.isSymbolicLink()) throw occupied(text, link, there);
    const temporary = temporaryPath(link);
    symlinkSync(target, temporary);
    renameSync(temporary, link);
  }
}

/** Removes those that still lead to `target`. */
export function unlinkSymlinks(links: readonly string[], target: string): void {
  for (const link of links) {
    const there = lstatSync(link, { throwIfNoEntry: false });
    if (there?.isSymbolicLink() && readlinkSync(link) === target) unlinkSync(link);
  }
}

/** Removes the path if it is still what it was. */
export function removePath(path: string, what: "socket" | "fifo"): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (what === "socket" ? there?.isSocket() : there?.isFIFO()) unlinkSync(path);
}

/** Tries to connect, without waiting. Only ECONNREFUSED proves that the file was left behind. */
function isAnswered(address: UnixAddress): boolean {
  using probe = socket(address.kind, "unix");
  setNonblocking(probe, true);
  try {
    connect(probe, { kind: "unix", path: address.path });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ECONNREFUSED" || code === "ENOENT") return false;
    // EAGAIN: its queue is full. EPROTOTYPE: it is of another type. EPERM: a datagram socket that is connected to somebody.
    if (code === "EAGAIN" || code === "EPROTOTYPE" || code === "EPERM") return true;
    throw error;
  }
}

function occupied(text: string, path: string, there: Stats): SocketOpenError {
  const what = there.isDirectory()
    ? "a folder"
    : there.isSymbolicLink()
      ? "a symbolic link"
      : there.isFile()
        ? "a file"
        : "something else";
  return new SocketOpenError(
    "path-occupied",
    text,
    `${path} is ${what} that Holdfast did not make; remove it or choose another path`,
  );
}
