import type { Socket } from "node:net";
import type { OwnedFd } from "../ancillary/index.js";
import { MAX_STATE_BYTES, MAX_UNREAD_BYTES } from "../handoff/frame.js";
import { trackAdopted } from "./adopted-connections.js";
import type { LeftConnection } from "./adoption.js";
import type { LeftConnections } from "./left-connections.js";
import { attach, detach, isFlushed, isPlain, stopReading } from "./node-handle.js";
import { Finish } from "./retirement.js";
import { WorkerSession } from "./session.js";
import { WorkerError } from "./worker-error.js";

export interface LeaveOptions {
  /** What the successor must have registered with `adopt`; "connection". */
  readonly kind?: string;
}

export type Left =
  /** Somebody has it. */
  | { readonly outcome: "taken" }
  /** Nobody took it: it is this process's as before, to be served to its end. It may be another object. */
  | { readonly outcome: "kept"; readonly connection: Socket }
  /** It ended by itself before it could be given away. */
  | { readonly outcome: "closed" };

export interface Adopted {
  readonly kind: string;
  /** Name of the socket on which it was accepted; empty if its predecessor did not say. */
  readonly socket: string;
}

const DEFAULT_KIND = "connection";
const LOOK_MS = 5;
/** Those that `leave` has begun with and that have no outcome. */
const leaving = new Set<Socket>();

/**
 * Gives an open, not encrypted connection to the successor, with what it has to know about it (up to 64 KiB). For use in a listener of `onRetire`.
 *
 * From the call on the connection is not the caller's: nothing is read from it any more, and its listeners for data are removed. What was written to it
 * before goes out first, and bytes that were read and not consumed go along. No byte is lost and none comes twice, as long as `state` covers exactly what the program
 * has taken from the stream. Without a successor it resolves with `kept`.
 *
 * @throws WorkerError `ERR_NOT_A_CONNECTION` (closed, or TLS: its keys are in this process), `ERR_STATE_TOO_LONG`
 */
export async function leave(
  connection: Socket,
  state: Uint8Array | string = "",
  options: LeaveOptions = {},
): Promise<Left> {
  const bytes = typeof state === "string" ? Buffer.from(state) : Uint8Array.from(state);
  if (bytes.length > MAX_STATE_BYTES) {
    throw new WorkerError("ERR_STATE_TOO_LONG", `a state has at most ${MAX_STATE_BYTES} bytes, not ${bytes.length}`);
  }
  if (!isPlain(connection) || connection.readableEncoding !== null || leaving.has(connection)) {
    throw new WorkerError(
      "ERR_NOT_A_CONNECTION",
      "only an open connection without TLS and without an encoding can be left",
    );
  }
  const { left } = WorkerSession.current;
  if (left === undefined || Finish.current.retirement?.handOver !== true) return { outcome: "kept", connection };
  leaving.add(connection);
  try {
    return await give(connection, bytes, options.kind ?? DEFAULT_KIND, left);
  } finally {
    leaving.delete(connection);
  }
}

async function give(connection: Socket, state: Uint8Array, kind: string, to: LeftConnections): Promise<Left> {
  const unread = takeUnread(connection);
  // Only now: reading from a stream whose buffer was full starts its handle again.
  stopReading(connection);
  const { allowHalfOpen } = connection as unknown as { readonly allowHalfOpen: boolean };
  const keep = (fd: OwnedFd): Left => ({ outcome: "kept", connection: attachWith(fd, unread, allowHalfOpen) });
  const fd = await detachFlushed(connection);
  if (fd === undefined) return { outcome: "closed" };
  // More than a stream buffers unless it was made to.
  if (unread.length > MAX_UNREAD_BYTES) return keep(fd);
  const head = { kind, ...(unread.length > 0 ? { unread: unread.length } : {}) };
  const outcome = await to.leave(head, Buffer.concat([state, unread]), fd);
  return outcome.taken ? { outcome: "taken" } : keep(outcome.fd);
}

/**
 * Takes connections that a predecessor leaves. The handler gets each as a `net.Socket` of its own, at the byte behind the last that its predecessor
 * used. Call it before `serve` or `ready`. A second call for a kind replaces the first.
 */
export function adopt(
  handler: (connection: Socket, state: Buffer, about: Adopted) => void,
  options: { readonly kind?: string; readonly allowHalfOpen?: boolean } = {},
): void {
  const { kind = DEFAULT_KIND, allowHalfOpen = false } = options;
  const session = WorkerSession.current;
  session.adoption.set(kind, ({ fd, head, state, unread }: LeftConnection) => {
    handler(attachWith(fd, unread, allowHalfOpen), Buffer.from(state), { kind, socket: head.socket ?? "" });
  });
  session.kindsChanged();
}

function attachWith(fd: OwnedFd, unread: Uint8Array, allowHalfOpen: boolean): Socket {
  const connection = attach(fd, allowHalfOpen);
  if (unread.length > 0) connection.unshift(unread);
  trackAdopted(connection);
  return connection;
}

/** What libuv has read and nobody has taken. Reading it would give it to the listeners as well, so they go first. */
function takeUnread(connection: Socket): Buffer {
  for (const event of ["data", "readable", "end"]) connection.removeAllListeners(event);
  connection.pause();
  const chunks: Buffer[] = [];
  for (let chunk = connection.read() as Buffer | null; chunk !== null; chunk = connection.read() as Buffer | null) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Once everything that was written is out, and there is a free number. undefined: it ended, or was closed at the deadline. Nothing tells when libuv's
 * own queue is empty.
 */
async function detachFlushed(connection: Socket): Promise<OwnedFd | undefined> {
  connection.on("error", () => undefined); // "close" follows, and then it is destroyed.
  while (!connection.destroyed) {
    const fd = isFlushed(connection) ? detach(connection) : undefined;
    if (fd !== undefined) return fd;
    await new Promise<void>((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return undefined;
}
