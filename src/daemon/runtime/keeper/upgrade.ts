import { ByteReader } from "./bytes.js";

/** What became of a program that was tried, in the order of the numbers in docs/protocol.md. All but the first: it has ended, and nothing has changed. */
const RESULTS = [
  "willing",
  "not-executed",
  "exited",
  "killed",
  "timed-out",
  "unwilling",
  "other-protocol",
  "cannot-look",
] as const;

/** What such a program says: it would go on as the one in charge does, or not; it has all that that one had; it serves. */
export const Report = { willing: 0, unwilling: 1, hasAll: 2, serves: 3 } as const;

/** Bytes of the words that it may say. */
export const MAX_REPORT_BYTES = 4096;

/** What the keeper answers to `upgrade`. */
export interface UpgradeOutcome {
  /** undefined: a keeper of a later version has one more. */
  readonly result: (typeof RESULTS)[number] | undefined;
  /** An errno, an exit code, a signal, milliseconds or a version, by the result. */
  readonly detail: number;
  readonly words: string;
}

export function decodeUpgrade(payload: Buffer): UpgradeOutcome {
  const reader = new ByteReader(payload);
  const outcome = { result: RESULTS[reader.u8()], detail: reader.i32(), words: reader.string() };
  reader.end();
  return outcome;
}
