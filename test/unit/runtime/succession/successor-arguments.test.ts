import { describe, expect, test } from "vitest";
import { successorArguments } from "../../../../src/daemon/runtime/succession/start-keeper.js";

describe("the arguments of a keeper that takes the place of another", () => {
  test.each([
    ["no option", "holdfast-keeper -- node main.js -c x", "--supervised-by 3 -- node main.js -c x"],
    ["no option and no --", "keeper node main.js", "--supervised-by 3 -- node main.js"],
    ["a grace", "keeper --grace 500 -- node", "--grace 500 --supervised-by 3 -- node"],
    ["what it was given in its turn", "keeper --supervised-by 7 -- node", "--supervised-by 3 -- node"],
    [
      "the time in which a supervisor attaches",
      "keeper --attach 9 --grace 5 -- node",
      "--attach 9 --grace 5 --supervised-by 3 -- node",
    ],
    [
      "what it took over from another program",
      "keeper --take-over 5,6,0 --attach 9 --supervised-by 7 -- node",
      "--attach 9 --supervised-by 3 -- node",
    ],
    ["what it tried", "keeper --try-state 3,4,0 -- node", "--supervised-by 3 -- node"],
    [
      "options of its program that look like its own",
      "keeper -- node --grace 1 --supervised-by 2 --",
      "--supervised-by 3 -- node --grace 1 --supervised-by 2 --",
    ],
  ])("of one with %s", (_, before, after) => {
    expect(successorArguments(before.split(" "), 3)).toEqual(after.split(" "));
  });
});
