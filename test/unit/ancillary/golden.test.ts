import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newDescriptors, openDescriptors } from "./census.js";
import { FilledTable } from "./filled-table.js";
import { canRun, readGoldenCases } from "./golden-case.js";
import { GoldenReplay } from "./golden-replay.js";
import { wantedResult } from "./golden-wanted.js";

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
      const replay = new GoldenReplay(golden, limit);
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
