import { Socket } from "node:net";
import { OwnedFd, pollReadable } from "../ancillary/index.js";

/** What libuv's streams have below a `net.Socket`, in Node.js 20 to 24: not documented, so each use asks first whether it is there. */
interface StreamHandle {
  readonly fd: number;
  readonly writeQueueSize: number;
  readStop(): void;
}

function handleOf(socket: Socket): StreamHandle | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Partial<StreamHandle> | null };
  if (handle === undefined || handle === null) return undefined;
  if (typeof handle.fd !== "number" || handle.fd < 0 || typeof handle.readStop !== "function") return undefined;
  return typeof handle.writeQueueSize === "number" ? (handle as StreamHandle) : undefined;
}

/** Whether the connection is one whose descriptor means all of it: open, not encrypted, a stream of the kernel's. */
export function isPlain(socket: Socket): boolean {
  if (!(socket instanceof Socket) || socket.destroyed || socket.connecting || "encrypted" in socket) return false;
  return handleOf(socket) !== undefined;
}

/** From now on libuv reads nothing of it; what has not been read stays in the kernel. */
export function stopReading(socket: Socket): void {
  handleOf(socket)?.readStop();
}

/** Everything that was written to it is with the kernel. */
export function isFlushed(socket: Socket): boolean {
  return socket.writableLength === 0 && (handleOf(socket)?.writeQueueSize ?? 1) === 0;
}

/** Something of it waits in the kernel: data, its end or an error. */
export function hasUnread(socket: Socket): boolean {
  const handle = handleOf(socket);
  if (handle === undefined) return false;
  const fd = OwnedFd.adopt(handle.fd);
  try {
    return pollReadable(fd);
  } finally {
    fd.release(); // It was lent.
  }
}

/**
 * The connection without the object, which is destroyed: libuv takes its descriptor out of epoll and closes it, and there is no shutdown(2), so
 * the connection itself does not notice. undefined: no number is free for the duplicate at the moment, and nothing has changed.
 */
export function detach(socket: Socket): OwnedFd | undefined {
  const handle = handleOf(socket);
  if (handle === undefined) throw new TypeError("not an open connection");
  const lent = OwnedFd.adopt(handle.fd);
  let fd: OwnedFd;
  try {
    fd = lent.duplicate();
  } catch (error) {
    if (["EMFILE", "ENFILE"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  } finally {
    lent.release();
  }
  handle.readStop();
  socket.destroy();
  return fd;
}

/** A `net.Socket` of its own for a connection; takes the descriptor over. `allowHalfOpen` as with net.createServer. */
export function attach(fd: OwnedFd, allowHalfOpen: boolean): Socket {
  return new Socket({ fd: fd.release(), readable: true, writable: true, allowHalfOpen });
}
