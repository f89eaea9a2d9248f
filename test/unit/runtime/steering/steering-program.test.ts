import { describe, expect, test } from "vitest";
import { probeSource, steeringProgram } from "../../../../src/daemon/runtime/steering/steering-program.js";

/** Runs a program as the kernel does: the few instructions that it is made of. */
function run(
  program: Uint8Array,
  packet: { readonly version: number; readonly source: string; readonly random: number },
): number {
  const bytes = Buffer.from(program);
  const source = packet.source.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  let a = 0;
  for (let at = 0; ; at += 1) {
    const [code, jt, jf, k] = [
      bytes.readUInt16LE(at * 8),
      bytes.readUInt8(at * 8 + 2),
      bytes.readUInt8(at * 8 + 3),
      bytes.readUInt32LE(at * 8 + 4),
    ];
    const offset = k | 0;
    switch (code) {
      case 0x20: // ldw
        if (offset === -0x100000 + 12) a = source;
        else if (offset === -0x1000 + 56) a = packet.random;
        else throw new Error(`a load from ${offset}`);
        break;
      case 0x30: // ldb
        expect(offset).toBe(-0x100000);
        a = packet.version * 16 + 5;
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x14:
        a = (a - k) >>> 0;
        break;
      case 0x15:
        at += a === k ? jt : jf;
        break;
      case 0x35:
        at += a >= k ? jt : jf;
        break;
      case 0x06:
        return k;
      case 0x16:
        return a;
      default:
        throw new Error(`an instruction ${code}`);
    }
  }
}

const client = { version: 4, source: "127.0.0.1", random: 0 };

describe("a steering program", () => {
  test("gives each lane its share of all random numbers", () => {
    const program = steeringProgram(
      [
        { lane: 1, weight: 47.5 },
        { lane: 3, weight: 47.5 },
        { lane: 4, weight: 5 },
      ],
      4,
    );
    const counts = new Map<number, number>();
    const steps = 100_000;
    for (let step = 0; step < steps; step += 1) {
      const place = run(program, { ...client, random: Math.floor((step / steps) * 2 ** 32) });
      counts.set(place, (counts.get(place) ?? 0) + 1);
    }
    expect(counts.get(0)! / steps).toBeCloseTo(0.475, 3);
    expect(counts.get(2)! / steps).toBeCloseTo(0.475, 3);
    expect(counts.get(3)! / steps).toBeCloseTo(0.05, 3);
    expect(counts.has(1)).toBe(false);
  });

  test("has no border that the highest random number crosses", () => {
    const program = steeringProgram(
      [
        { lane: 2, weight: 1 },
        { lane: 1, weight: 1 },
      ],
      2,
    );
    expect(run(program, { ...client, random: 2 ** 32 - 1 })).toBe(0);
    expect(run(program, { ...client, random: 0 })).toBe(1);
  });

  test("takes a probe to the lane of its source address, whatever the shares are", () => {
    const program = steeringProgram([{ lane: 1, weight: 1 }], 300);
    for (const lane of [1, 2, 255, 256, 300]) {
      expect(run(program, { ...client, source: probeSource(lane) })).toBe(lane - 1);
    }
  });

  test("takes nothing else for a probe", () => {
    const program = steeringProgram([{ lane: 2, weight: 1 }], 3);
    for (const source of ["127.88.0.0", "127.88.0.4", "127.87.255.255", "127.89.0.1", "10.0.0.1", "255.255.255.255"]) {
      expect(run(program, { ...client, source })).toBe(1);
    }
    expect(run(program, { version: 6, source: probeSource(1), random: 0 })).toBe(1);
  });

  test("stays within the kernel's 4096 instructions with 256 workers and their successors", () => {
    const shares = Array.from({ length: 512 }, (_, index) => ({ lane: index + 1, weight: 1 }));
    expect(steeringProgram(shares, 512).length / 8).toBeLessThan(4096);
  });
});
