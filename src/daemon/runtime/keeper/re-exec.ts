import { ByteReader } from "./bytes.js";

/** How a re-exec ended, in the order of the numbers in docs/protocol.md. All but the first: nothing has changed. */
const RESULTS = [
  "done",
  "not-executed",
  "no-proof",
  "killed",
  "timed-out",
  "other-state",
  "not-read",
  "not-passed",
  "given-back",
] as const;

/** What the keeper answers to `re-exec`. */
export interface ReExecOutcome {
  /** undefined: a keeper of a later version has one more. */
  readonly result: (typeof RESULTS)[number] | undefined;
  /** An errno, an exit code, a signal, milliseconds or a version, by the result. */
  readonly detail: number;
  /** How often this keeper was re-executed, this time included. */
  readonly count: number;
}

export function decodeReExec(payload: Buffer): ReExecOutcome {
  const reader = new ByteReader(payload);
  const outcome = { result: RESULTS[reader.u8()], detail: reader.i32(), count: reader.u32() };
  reader.end();
  return outcome;
}
