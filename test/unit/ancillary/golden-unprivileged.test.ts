import { describe, expect, test } from "vitest";
import { newDescriptors, openDescriptors } from "./census.js";
import { canRun, readGoldenCases } from "./golden-case.js";
import { GoldenReplay } from "./golden-replay.js";
import { wantedResult } from "./golden-wanted.js";

const unlimited = { leaveFree: () => {}, restore: () => {} };

// Each file of tests is a process of its own; this one gives up its privileges for good. Both cases drop to the same user.
describe.sequential("the recording of Rust's SocketAncillary for a user without privileges", () => {
  for (const golden of readGoldenCases().filter(({ name }) => name.endsWith("nonroot_eperm"))) {
    const runs = canRun(golden);
    test.skipIf(!runs)(golden.name, () => {
      const before = openDescriptors();
      const replay = new GoldenReplay(golden, unlimited);
      golden.ops.forEach((operation, index) => {
        if (operation.op === "drop_privs" && process.getuid?.() === operation.uid) return;
        expect(replay.run(operation), `operation ${index}`).toEqual(wantedResult(golden, index));
      });
      replay.close();
      expect(newDescriptors(before)).toEqual([]);
    });
  }
});
