import { describe, expect, test } from "vitest";
import { successorArguments } from "../../../../src/daemon/runtime/succession/start-keeper.js";

describe("the arguments of a keeper that takes the place of another", () => {
  test.each([
    ["no option", "holdfast-keeper -- node main.js", "--supervised-by 3"],
    ["no option and no --", "keeper node main.js", "--supervised-by 3"],
    ["a grace", "keeper --grace 500 -- node", "--grace 500 --supervised-by 3"],
    ["what it was given in its turn", "keeper --supervised-by 7 -- node", "--supervised-by 3"],
    [
      "the time in which a supervisor attaches",
      "keeper --attach 9 --grace 5 -- node",
      "--attach 9 --grace 5 --supervised-by 3",
    ],
    [
      "what it took over from another program",
      "keeper --take-over 5,6,0 --attach 9 --supervised-by 7 -- node",
      "--attach 9 --supervised-by 3",
    ],
    ["what it tried", "keeper --try-state 3,4,0 -- node", "--supervised-by 3"],
    ["a program with options like its own", "keeper -- node --grace 1 --supervised-by 2 --", "--supervised-by 3"],
  ])("of one with %s", (_, before, options) => {
    const supervisor = ["/node", "/next/main.js", "--", "-c", "x"];
    expect(successorArguments(before.split(" "), 3, supervisor)).toEqual([...options.split(" "), "--", ...supervisor]);
  });
});
