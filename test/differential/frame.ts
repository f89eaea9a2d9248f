import type { Random } from "./random.js";

/** What one send carries. */
export interface Frame {
  readonly bytes: number;
  /** Byte k is `(seed + k) & 255`. */
  readonly seed: number;
  /** Indices of files. */
  readonly files: readonly number[];
  /** Named by the sender; otherwise the kernel fills in its own where the receiver asks. */
  readonly ids: { readonly uid: number; readonly gid: number } | undefined;
}

/** A device and an inode: what a descriptor is, whatever its number. */
export type Identity = readonly [dev: number, ino: number];

/** What one receive brought. */
export interface Piece {
  /** Hex. */
  readonly data: string;
  /** Device, inode, and whether it is close-on-exec. */
  readonly fds: readonly (readonly [dev: number, ino: number, closeOnExec: boolean])[];
  readonly credentials: readonly [pid: number, uid: number, gid: number] | null;
  readonly truncated: boolean;
}

/** How many files there are to send. */
export const fileCount = 40;

/** Small ones mostly, and now and then one at a limit. All frames of a burst fit the buffer of a socket, which need not be read meanwhile. */
function randomFrame(random: Random, kind: "stream" | "dgram"): Frame {
  const isEmpty = kind === "dgram" && random.chance(12);
  const bytes = isEmpty ? 0 : 1 + random.below(random.chance(8) ? 20_000 : 300);
  const count = random.chance(3) ? 0 : random.chance(10) ? 253 - random.below(3) : random.below(12);
  const files = Array.from({ length: count }, () => random.below(fileCount));
  // Only root may name ids that are not its own.
  const own = { uid: process.getuid!(), gid: process.getgid!() };
  const foreign = { uid: random.below(60_000), gid: random.below(60_000) };
  const ids = !random.chance(3) ? undefined : own.uid === 0 ? foreign : own;
  return { bytes, seed: random.below(256), files, ids };
}

export function dataOf({ bytes, seed }: Frame): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, k) => seed + k));
}

interface Sent {
  readonly frames: readonly Frame[];
  /** Of the files, by index. */
  readonly identities: readonly Identity[];
  readonly senderPid: number;
  /** Whether the receiver has SO_PASSCRED. */
  readonly passcred: boolean;
  /** Whether what the receiver gets is close-on-exec. */
  readonly closeOnExec: boolean;
}

/** Up to five frames, with fewer descriptors in all than an unprivileged user may have in flight. */
export function randomBurst(random: Random, kind: "stream" | "dgram"): Frame[] {
  const frames: Frame[] = [];
  let room = 700;
  for (let left = 1 + random.below(5); left > 0; left--) {
    const frame = randomFrame(random, kind);
    const files = frame.files.slice(0, room);
    room -= files.length;
    frames.push({ ...frame, files });
  }
  return frames;
}

/** What must have come of a frame: everything that was sent, and credentials only where they are asked for. */
function pieceOf(frame: Frame, { identities, senderPid, passcred, closeOnExec }: Sent): Piece {
  const { uid, gid } = idsOf(frame);
  return {
    data: dataOf(frame).toString("hex"),
    fds: frame.files.map((index) => [...identities[index]!, closeOnExec]),
    credentials: passcred ? [senderPid, uid, gid] : null,
    truncated: false,
  };
}

function idsOf(frame: Frame) {
  return frame.ids ?? { uid: process.getuid!(), gid: process.getgid!() };
}

function haveSameSender(a: Frame, b: Frame): boolean {
  return idsOf(a).uid === idsOf(b).uid && idsOf(a).gid === idsOf(b).gid;
}

/** Datagrams keep their borders. */
export function expectedDatagrams(sent: Sent): Piece[] {
  return sent.frames.map((frame) => pieceOf(frame, sent));
}

/**
 * A stream glues a frame to the one before it unless that carried descriptors, or SO_PASSCRED is set and shows another sender.
 */
export function expectedPieces(sent: Sent): Piece[] {
  const pieces: Piece[] = [];
  let before: Frame | undefined;
  for (const frame of sent.frames) {
    const piece = pieceOf(frame, sent);
    const last = pieces.at(-1);
    const glues =
      before !== undefined && before.files.length === 0 && (!sent.passcred || haveSameSender(before, frame));
    if (glues && last !== undefined) pieces[pieces.length - 1] = { ...piece, data: last.data + piece.data };
    else pieces.push(piece);
    before = frame;
  }
  return pieces;
}
