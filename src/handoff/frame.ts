/**
 * What a supervisor and a worker say to each other over HOLDFAST_CHANNEL; docs/handoff.md is the contract.
 *
 * A record is a JSON object, and behind a newline, if there is one, a body of any bytes. JSON.stringify writes no newline of its own.
 */

export const HANDOFF_VERSION = 1;
/** The JSON object, in bytes of UTF-8. */
export const MAX_HEAD_BYTES = 16_384;
/** What an application says of one connection. */
export const MAX_STATE_BYTES = 65_536;
/** What a predecessor has read of one connection and not used. */
export const MAX_UNREAD_BYTES = 131_072;
export const MAX_RECORD_BYTES = MAX_HEAD_BYTES + 1 + MAX_STATE_BYTES + MAX_UNREAD_BYTES;
/** Descriptors of one `sockets`: what SCM_RIGHTS carries in one message. */
export const MAX_SOCKETS = 253;
/** How many connections a worker may have left that nobody has taken yet, and how many may be on their way to one. */
export const WINDOW = 64;
/** So many of the newest ids that it has taken a worker remembers, so that a repetition is harmless. More than can be under way to it at once. */
export const REMEMBERED_IDS = 512;

export interface SocketEntry {
  readonly name: string;
  /** For listen(2), which any holder of a socket changes for all. Absent for what does not listen. */
  readonly backlog?: number;
}

/** Which connection this is and what came with it, both ways. */
export interface ConnectionHead {
  /** What the successor must understand, chosen by whoever leaves it. */
  readonly kind: string;
  /** Name of the socket on which it was accepted. */
  readonly socket?: string;
  /** So many bytes at the end of the body were read from the connection and not used; the rest of the body is the state. */
  readonly unread?: number;
}

export type ToWorker =
  | {
      readonly type: "hello";
      readonly version: number;
      /** Of this supervisor, and of no other one: the answer has it, too. */
      readonly session: string;
      readonly service: string;
      /** `web/1` */
      readonly instance: string;
      readonly generation: number;
      readonly window: number;
    }
  /** All sockets there are, and the descriptor of each, in this order. */
  | { readonly type: "sockets"; readonly sockets: readonly SocketEntry[] }
  | { readonly type: "retire"; readonly deadlineMs: number }
  /** Too late once CLOCK_MONOTONIC has passed `expiresMs`: somebody else may have it then. */
  | ({ readonly type: "adopt"; readonly id: string; readonly expiresMs: number } & ConnectionHead)
  | { readonly type: "taken"; readonly id: number }
  | { readonly type: "keep"; readonly id: number; readonly reason: string };

export type ToSupervisor =
  /** The answer to each `hello`: what it has taken last, so that a new supervisor gives that to nobody else. */
  | {
      readonly type: "hello";
      readonly version: number;
      /** That of the `hello` which it answers. */
      readonly session: string;
      readonly adopted: readonly string[];
      /** As in `ready`, if it has said that it is. */
      readonly adopts?: readonly string[];
      readonly retiring: boolean;
    }
  | { readonly type: "ready"; readonly adopts: readonly string[] }
  | { readonly type: "status"; readonly text: string }
  /** The same id comes again, to another supervisor, until there is an outcome. */
  | ({ readonly type: "leave"; readonly id: number } & ConnectionHead)
  | { readonly type: "left" }
  | { readonly type: "adopted"; readonly id: string }
  | { readonly type: "refused"; readonly id: string; readonly reason: string };

export interface Received<T> {
  readonly frame: T;
  /** A view of the record. */
  readonly body: Uint8Array;
}

const noBytes = new Uint8Array(0);
const newline = 0x0a;

/** Throws RangeError if the head or the body is longer than allowed. */
export function encodeFrame(frame: ToWorker | ToSupervisor, body: Uint8Array = noBytes): Uint8Array {
  const head = Buffer.from(JSON.stringify(frame));
  if (head.length > MAX_HEAD_BYTES) throw new RangeError(`a head of ${head.length} bytes is longer than a frame takes`);
  if (head.length + 1 + body.length > MAX_RECORD_BYTES) {
    throw new RangeError(`a body of ${body.length} bytes is longer than a frame takes`);
  }
  return body.length === 0 ? head : Buffer.concat([head, Buffer.of(newline), body]);
}

/** The object and the body; a sentence if the record has no such form. */
export function splitRecord(record: Uint8Array): Received<Readonly<Record<string, unknown>>> | string {
  const at = record.indexOf(newline);
  const head = at === -1 ? record : record.subarray(0, at);
  if (head.length > MAX_HEAD_BYTES) return "its head is too long";
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(head));
  } catch {
    return "it is not JSON"; // What else the parser says would quote a stranger.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is no object";
  return {
    frame: value as Readonly<Record<string, unknown>>,
    body: at === -1 ? noBytes : record.subarray(at + 1),
  };
}

/** The two parts of the body of a `leave` or an `adopt`. */
export function splitBody(head: ConnectionHead, body: Uint8Array): { state: Uint8Array; unread: Uint8Array } {
  const at = body.length - (head.unread ?? 0);
  return { state: body.subarray(0, at), unread: body.subarray(at) };
}
