import { readFileSync } from "node:fs";
import { release } from "node:os";

/** The recorded cases: see test/golden/ancillary.json. `results[i]` belongs to `ops[i]`. */
export interface GoldenCase {
  name: string;
  group: string;
  quirk: boolean;
  /** Where Rust's result is a fault: the operation, what would be better in words, and mostly as a value. */
  quirks?: { op: number; reason: string; better: string; expect?: unknown }[];
  requires: string[];
  ops: GoldenOperation[];
  results: unknown[];
}

/** The fields that operations have; which ones depends on `op`. */
export interface GoldenOperation {
  op: string;
  id: string;
  prefix: string;
  n: number;
  kind: "stream" | "dgram";
  a: string;
  b: string;
  path: string;
  to?: string;
  on: string & boolean;
  cap: number;
  fds: string[];
  creds: string[];
  sock: string;
  anc?: string;
  data: number[];
  seed?: number;
  n_class?: boolean;
  max: number;
  level: number;
  name: number;
  value: number;
  how: "read" | "write" | "both";
  free: number;
  uid: number;
  gid: number;
}

/** The file as it was recorded. */
export function readGoldenCases(): GoldenCase[] {
  return JSON.parse(readFileSync(new URL("../../golden/ancillary.json", import.meta.url), "utf8")) as GoldenCase[];
}

/** Whether this machine can run the case. A case that needs `setuid` needs a process of its own. */
export function canRun(golden: GoldenCase): boolean {
  return golden.requires.every((requirement) => {
    if (requirement === "root" || requirement === "setuid") return process.getuid?.() === 0;
    if (requirement === "rlimit") return true;
    const [, major, minor] = /^linux>=(\d+)\.(\d+)$/.exec(requirement) ?? [];
    const [isMajor = 0, isMinor = 0] = release().split(".").map(Number);
    return isMajor > Number(major) || (isMajor === Number(major) && isMinor >= Number(minor));
  });
}

/** Byte k of a message: counted over all buffers of the send. */
export function messageData(sizes: readonly number[], seed = 1): Buffer[] {
  let at = 0;
  return sizes.map((size) => Buffer.from(Array.from({ length: size }, () => (seed + at++) & 255)));
}

/** Data as the recording shows it: hex, or a hash of longer data. */
export function showData(data: Buffer): string {
  if (data.length <= 64) return data.toString("hex");
  let hash = 0xcbf29ce484222325n;
  for (const byte of data) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return `fnv1a64:${hash.toString(16).padStart(16, "0")}:${data.length}`;
}

/** "f0..f3" stands for all from f0 to f3. */
export function expandNames(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const range = /^([a-z]+)(\d+)\.\.[a-z]+(\d+)$/.exec(name);
    if (range === null) return [name];
    const [, prefix = "", first = "0", last = "0"] = range;
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => `${prefix}${Number(first) + index}`);
  });
}

/** [cmsg_len, level, type] of each header, read without the library. */
export function walkHeaders(bytes: Buffer): number[][] {
  const headers: number[][] = [];
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    if (length < 16 || length > bytes.length - at) break;
    headers.push([length, bytes.readInt32LE(at + 8), bytes.readInt32LE(at + 12)]);
    at += (length + 7) & ~7;
  }
  return headers;
}
