import { describe, expect, test } from "vitest";
import { judge } from "../../../bench/lib/verdict.mjs";

const clean = { failed: 0, idleRace: 0, closedIdle: 0, unsolicited: 0, outcomes: { client: 0 } };
const failed = (result: typeof clean) => result.failed;
const race = (result: typeof clean) => result.idleRace;
const as = (...outcomes: string[]) => outcomes.map((outcome) => ({ outcome }));

const usual = {
  run: { broken: undefined as string | undefined, killSupervisor: false },
  promises: { failed } as Record<string, (result: typeof clean) => number> | undefined,
  result: clean,
  baseline: undefined as typeof clean | undefined,
  restarts: as("done", "done"),
  before: [1, 2],
  after: [3, 4],
};
const deploysBroken = { run: { broken: "exits", killSupervisor: false }, restarts: as("rolled-back"), after: [1, 2] };

describe("the verdict on a run of restarts", () => {
  test.each([
    ["holds", {}, []],
    ["counts failed requests", { result: { ...clean, failed: 3 } }, ["3 failed"]],
    ["forgives the race where it is not promised", { result: { ...clean, idleRace: 3 } }, []],
    ["counts the race where it is", { promises: { failed, race }, result: { ...clean, idleRace: 3 } }, ["3 race"]],
    ["forgives everything where nothing is promised", { promises: undefined, result: { ...clean, failed: 3 } }, []],
    [
      "forgives what happens without restarts",
      { result: { ...clean, failed: 3 }, baseline: { ...clean, failed: 3 } },
      [],
    ],
    [
      "counts what is beyond that",
      { result: { ...clean, failed: 4 }, baseline: { ...clean, failed: 3 } },
      ["1 failed"],
    ],
    [
      "counts restarts that did not come about",
      { restarts: as("done", "rolled-back", "half") },
      ["2 restarts not done (rolled-back, half)"],
    ],
    ["holds for a broken version that is rolled back", deploysBroken, []],
    [
      "counts a broken version that came in force",
      { ...deploysBroken, restarts: as("done") },
      ["1 restarts not rolled-back (done)"],
    ],
    [
      "wants the same workers after a broken version",
      { ...deploysBroken, after: [1, 3] },
      ["the workers are not those of before"],
    ],
    [
      "wants no connection closed by a broken version",
      { ...deploysBroken, result: { ...clean, closedIdle: 2 } },
      ["2 closed idle"],
    ],
    ["counts answers that nobody had asked for", { result: { ...clean, unsolicited: 1 } }, ["1 unsolicited answers"]],
    [
      "does not take a load that ran out of ports for a good one",
      { result: { ...clean, outcomes: { client: 1 } } },
      ["the load ran out of ports or descriptors"],
    ],
  ])("%s", (_, changes, broken) => {
    expect(judge({ ...usual, ...changes }).broken).toEqual(broken);
  });
});
