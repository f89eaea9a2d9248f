import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { newDescriptors, openDescriptors } from "./census.js";
import { canRun, readGoldenCases } from "./golden-case.js";
import { GoldenReplay } from "./golden-replay.js";
import { wantedResult } from "./golden-wanted.js";

const golden = readGoldenCases().find(({ name }) => name === "limit.stream.etoomanyrefs")!;

/** Each send of the case puts 100 descriptors in flight; the kernel refuses once more are than the limit. So: more than are open, fewer than 200. */
const limit = 190;
const limitIsSet = { leaveFree: () => {}, restore: () => {} };

// Each file of tests is a process of its own; this one gives up its privileges for good.
describe("the recording of Rust's SocketAncillary with too many descriptors in flight", () => {
  test.skipIf(!canRun(golden))(golden.name, () => {
    const before = openDescriptors();
    execFileSync("prlimit", ["--pid", String(process.pid), `--nofile=${limit}:`]);
    const replay = new GoldenReplay(limitIsSet);
    golden.ops.forEach((operation, index) => {
      expect(replay.run(operation), `operation ${index}`).toEqual(wantedResult(golden, index));
    });
    replay.close();
    expect(newDescriptors(before)).toEqual([]);
  });
});
