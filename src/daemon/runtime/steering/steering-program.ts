/**
 * The classic BPF program that chooses a socket of a SO_REUSEPORT group (socket(7), SO_ATTACH_REUSEPORT_CBPF; linux/filter.h).
 *
 *   1. IPv4 from 127.88.X.Y with a lane of number 256 X + Y: that lane, whether it gets anything else or not. So a probe reaches one particular worker
 *      before it is ready. (Such an address cannot come from outside: the kernel takes 127/8 from loopback alone.)
 *   2. Else a random number decides, in proportion to the weights.
 *
 * Pure. What it returns is a place in the group; the caller knows which lane stands where.
 */
import type { Share } from "../../lifecycle/steering.js";

// linux/bpf_common.h and linux/filter.h
const LD_W_ABS = 0x20;
const LD_B_ABS = 0x30;
const JMP_JEQ = 0x15;
const JMP_JGE = 0x35;
const ALU_AND = 0x54;
const ALU_SUB = 0x14;
const RET_K = 0x06;
const RET_A = 0x16;
/** Offsets from here on count from the network header, and those from SKF_AD_OFF on are not in the packet at all. */
const SKF_NET_OFF = -0x100000;
const SKF_AD_OFF = -0x1000;
const SKF_AD_RANDOM = 56;

const PROBE_NETWORK = 0x7f580000; // 127.88.0.0/16
const RANGE = 2 ** 32;

interface Instruction {
  readonly code: number;
  readonly jt?: number;
  readonly jf?: number;
  readonly k: number;
}

/** Where a probe of the worker in this lane connects from. */
export function probeSource(lane: number): string {
  return `127.88.${lane >> 8}.${lane & 0xff}`;
}

/** @param shares at least one; lane n stands at place n - 1 of a group of `lanes` sockets */
export function steeringProgram(shares: readonly Share[], lanes: number): Uint8Array {
  return encode([...probeInstructions(lanes), ...shareInstructions(shares)]);
}

/** Falls through to what follows if it is no probe. */
function probeInstructions(lanes: number): Instruction[] {
  return [
    { code: LD_B_ABS, k: SKF_NET_OFF },
    { code: ALU_AND, k: 0xf0 },
    { code: JMP_JEQ, k: 0x40, jt: 0, jf: 4 }, // IPv4
    { code: LD_W_ABS, k: SKF_NET_OFF + 12 }, // the source address
    { code: ALU_SUB, k: PROBE_NETWORK + 1 }, // lane - 1; what lies below the network wraps around to something large
    { code: JMP_JGE, k: lanes, jt: 1, jf: 0 },
    { code: RET_A, k: 0 },
  ];
}

function shareInstructions(shares: readonly Share[]): Instruction[] {
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  const places = shares.map(({ lane }) => lane - 1);
  let before = 0;
  const choices = shares.slice(0, -1).flatMap(({ weight }, index): Instruction[] => {
    before += weight;
    const border = Math.min(RANGE - 1, Math.round((before / total) * RANGE));
    return [
      { code: JMP_JGE, k: border, jt: 1, jf: 0 },
      { code: RET_K, k: places[index]! },
    ];
  });
  return [{ code: LD_W_ABS, k: SKF_AD_OFF + SKF_AD_RANDOM }, ...choices, { code: RET_K, k: places.at(-1)! }];
}

/** `struct sock_filter`: u16 code, u8 jt, u8 jf, u32 k, in the byte order of the machine, which is little-endian on x64 and arm64. */
function encode(instructions: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [index, { code, jt = 0, jf = 0, k }] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  }
  return bytes;
}
