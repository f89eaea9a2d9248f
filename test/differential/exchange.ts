import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { OwnedFd } from "../../src/ancillary/index.js";
import { expectedDatagrams, expectedPieces, type Frame, fileCount, type Identity, randomBurst } from "./frame.js";
import { type Layer, type Library, openPair } from "./library.js";
import { Peer } from "./peer.js";
import { Random } from "./random.js";

/** One run against one peer. */
export interface Scene {
  /** What starts the peer. */
  readonly command: readonly string[];
  readonly kind: "stream" | "dgram";
  readonly passcred: boolean;
  readonly seed: number;
  /** Bursts of frames, and milliseconds after which no more are begun. */
  readonly bursts: number;
  readonly limitMs: number;
}

/**
 * Exchanges bursts of random frames in both directions, through both layers of the library, and compares each receive with what must come.
 * The number of bursts that were exchanged.
 */
export async function exchange({ command, kind, passcred, seed, bursts, limitMs }: Scene): Promise<number> {
  const random = new Random(seed);
  const folder = mkdtempSync(join(tmpdir(), "holdfast-differential-"));
  const files = makeFiles(folder);
  const identities = files.map((file): Identity => {
    const { dev, ino } = file.identity();
    return [Number(dev), Number(ino)];
  });
  const [library, end] = openPair(kind, passcred);
  const peer = await Peer.start(command, kind, folder, end);
  const until = performance.now() + limitMs;
  try {
    for (let burst = 0; burst < bursts; burst++) {
      if (performance.now() > until) return burst;
      const frames = randomBurst(random, kind);
      const toPeer = random.chance(2);
      const layers = frames.map((): Layer => (random.chance(2) ? "thin" : "safe"));
      const sent = {
        frames,
        identities,
        senderPid: toPeer ? process.pid : peer.pid,
        passcred,
        closeOnExec: !toPeer || peer.receivesCloseOnExec,
      };
      const came = toPeer
        ? await throughPeer(peer, library, kind, frames, layers, files)
        : await throughLibrary(peer, library, frames, layers);
      expect(came, `burst ${burst} of seed ${seed}, to the ${toPeer ? "peer" : "library"}`).toEqual(
        kind === "stream" ? expectedPieces(sent) : expectedDatagrams(sent),
      );
    }
    return bursts;
  } finally {
    library.close();
    for (const file of files) file.close();
    const code = await peer.end();
    rmSync(folder, { recursive: true });
    expect(code).toBe(0);
  }
}

function makeFiles(folder: string): OwnedFd[] {
  return Array.from({ length: fileCount }, (_, index) => {
    const path = join(folder, String(index));
    writeFileSync(path, `file ${index}`);
    return OwnedFd.adopt(openSync(path, "r"));
  });
}

async function throughPeer(
  peer: Peer,
  library: Library,
  kind: "stream" | "dgram",
  frames: readonly Frame[],
  layers: readonly Layer[],
  files: readonly OwnedFd[],
) {
  for (const [index, frame] of frames.entries()) library.send(frame, files, layers[index]!);
  return peer.receive(kind === "stream" ? frames.reduce((sum, { bytes }) => sum + bytes, 0) : frames.length);
}

async function throughLibrary(peer: Peer, library: Library, frames: readonly Frame[], layers: readonly Layer[]) {
  for (const frame of frames) expect(await peer.send(frame)).toBe(frame.bytes);
  const pieces = [];
  let bytes = 0;
  const total = frames.reduce((sum, frame) => sum + frame.bytes, 0);
  // What the peer has sent waits in the socket already. Datagrams may be empty, so they are counted.
  while (bytes < total || pieces.length < frames.length) {
    const piece = library.receive(layers[pieces.length] ?? "safe");
    if (piece === undefined) break;
    bytes += piece.data.length / 2;
    pieces.push(piece);
    if (bytes === total && !frames.some((frame) => frame.bytes === 0)) break;
  }
  return pieces;
}
