import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memfd, type OwnedFd } from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";
import { canRun, readGoldenCases } from "./golden-case.js";
import { type DescriptorLimit, GoldenReplay } from "./golden-replay.js";
import { wantedResult } from "./golden-wanted.js";

/** Fills the table of descriptors instead of lowering the limit: a process without a free one could not raise it again. */
class FilledTable implements DescriptorLimit {
  #fillers: OwnedFd[] = [];

  leaveFree(count: number): void {
    this.#fillers = [memfd("filler", Buffer.alloc(0))];
    try {
      for (;;) this.#fillers.push(this.#fillers[0]!.duplicate());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EMFILE") throw error;
    }
    for (const filler of this.#fillers.splice(this.#fillers.length - count)) filler.close();
  }

  restore(): void {
    for (const filler of this.#fillers.splice(0)) filler.close();
  }
}

function prlimit(...options: string[]): string {
  return execFileSync("prlimit", ["--pid", String(process.pid), ...options], { encoding: "utf8" }).trim();
}

let limitBefore: string;
beforeAll(() => {
  limitBefore = prlimit("--nofile", "--output=SOFT", "--noheadings");
  prlimit("--nofile=1024:");
});
afterAll(() => {
  prlimit(`--nofile=${limitBefore}:`);
});

describe("the recording of Rust's SocketAncillary", () => {
  for (const golden of readGoldenCases().filter(({ requires }) => !requires.includes("setuid"))) {
    test.skipIf(!canRun(golden))(golden.name, () => {
      const before = openDescriptors();
      const limit = new FilledTable();
      const replay = new GoldenReplay(limit);
      try {
        golden.ops.forEach((operation, index) => {
          expect(replay.run(operation), `operation ${index}`).toEqual(wantedResult(golden, index));
        });
      } finally {
        limit.restore();
        replay.close();
      }
      expect(newDescriptors(before)).toEqual([]);
    });
  }
});
