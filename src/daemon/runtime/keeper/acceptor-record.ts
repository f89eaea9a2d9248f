import { type ByteReader, ByteWriter } from "./bytes.js";

/** What an armed start does with connections; docs/protocol.md, `arm`. */
export interface AcceptorRequest {
  /** How many of its processes may run at the same time. */
  readonly most: number;
  /** Of one source; 0 = any number. */
  readonly mostPerSource: number;
  /** Bits of an address that make a source. */
  readonly prefix4: number;
  readonly prefix6: number;
  /** At `most`: accept and close, instead of leaving connections in the queue. */
  readonly refuse: boolean;
  /** Starts in an interval; 0 = any number. */
  readonly burst: number;
  readonly intervalMs: number;
  /** The number of the last process that is known. */
  readonly after: number;
}

const PHASES = ["accepting", "full", "paused", "short"] as const;

/** `full`: at `most`. `paused`: its interval has had its starts. `short`: the system has no room for one more. */
export type AcceptorPhase = (typeof PHASES)[number];

/** The keeper's news of it. */
export interface AcceptorRecord {
  readonly key: string;
  readonly phase: AcceptorPhase;
  /** CLOCK_MONOTONIC, milliseconds; 0 = nothing is waited for. */
  readonly until: number;
  readonly alive: number;
  readonly accepted: number;
  readonly refused: number;
  /** Because its source had as many as it may have. */
  readonly refusedPerSource: number;
  /** Those whose client had gone before. */
  readonly vanished: number;
}

export function encodeAcceptor(o: AcceptorRequest): Buffer {
  return new ByteWriter()
    .u32(o.most)
    .u32(o.mostPerSource)
    .u8(o.prefix4)
    .u8(o.prefix6)
    .u8(o.refuse ? 1 : 0)
    .u32(o.burst)
    .u32(o.intervalMs)
    .u64(BigInt(o.after))
    .bytes();
}

export function decodeAcceptor(reader: ByteReader): AcceptorRecord {
  const record = {
    key: reader.key(),
    phase: PHASES[reader.u8()] ?? "short",
    until: Number(reader.u64()) / 1e6,
    alive: reader.u32(),
    accepted: Number(reader.u64()),
    refused: Number(reader.u64()),
    refusedPerSource: Number(reader.u64()),
    vanished: Number(reader.u64()),
  };
  reader.end();
  return record;
}
