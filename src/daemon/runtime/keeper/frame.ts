import { ByteReader, MalformedFrameError } from "./bytes.js";

/** The version of docs/protocol.md that this supervisor speaks. */
export const PROTOCOL_VERSION = 1;
/** Bytes of a whole frame. An AF_UNIX message must fit the sender's buffer, and the kernel's default is 208 KiB. */
export const MAX_FRAME_BYTES = 131_072;
export const MAX_TAG_BYTES = 98_304;
const HEADER_BYTES = 12;

export const RequestType = {
  attach: 1,
  hold: 2,
  release: 3,
  list: 4,
  fetch: 5,
  tag: 6,
  spawn: 7,
  arm: 8,
  disarm: 9,
  signal: 10,
  acknowledge: 11,
  heartbeat: 12,
  shutDown: 13,
  quiesce: 14,
  resume: 15,
  shut: 16,
  take: 17,
  settle: 18,
  reExec: 19,
  adopt: 20,
  handedOver: 21,
  upgrade: 22,
  report: 23,
  cede: 24,
  move: 25,
} as const;

/** Bits of `attach` and `hello`. */
export const Feature = { reExec: 1, handOver: 2, accept: 4 } as const;

export const ReplyType = { ok: 128, error: 129 } as const;
export const EventType = { child: 192, signalled: 193, acceptor: 194, lease: 195 } as const;

/** Of `attach`. */
export const AttachMode = { lease: 0, shadow: 1 } as const;

export const Table = { held: 0, children: 1, arms: 2 } as const;
export type TableName = keyof typeof Table;

export interface Frame {
  readonly type: number;
  readonly request: number;
  readonly payload: Buffer;
}

/** @throws RangeError with `code: "frame-too-large"` if the payload does not fit a frame */
export function encodeFrame({ type, request, payload }: Frame): Buffer {
  const length = HEADER_BYTES + payload.length;
  if (length > MAX_FRAME_BYTES) {
    const error = new RangeError(`a frame of ${length} bytes is more than the keeper takes (${MAX_FRAME_BYTES})`);
    throw Object.assign(error, { code: "frame-too-large" });
  }
  const frame = Buffer.allocUnsafe(length);
  frame.writeUInt8(PROTOCOL_VERSION, 0);
  frame.writeUInt8(0, 1);
  frame.writeUInt16LE(type, 2);
  frame.writeUInt32LE(request, 4);
  frame.writeUInt32LE(payload.length, 8);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

/** @throws MalformedFrameError */
export function decodeFrame(bytes: Buffer): Frame {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  reader.u8();
  const type = reader.u16();
  // An error is the same in all versions: it may be the answer to an `attach` that asked for another one.
  if (version !== PROTOCOL_VERSION && type !== ReplyType.error)
    throw new MalformedFrameError(`a frame of protocol version ${version}`);
  const request = reader.u32();
  const length = reader.u32();
  if (length !== bytes.length - HEADER_BYTES) {
    throw new MalformedFrameError(`a frame says ${length} bytes and carries ${bytes.length - HEADER_BYTES}`);
  }
  return { type, request, payload: bytes.subarray(HEADER_BYTES) };
}
