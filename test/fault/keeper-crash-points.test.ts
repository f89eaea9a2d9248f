/**
 * The keeper is killed after each step of its supervisor (crash-points.test.ts), each frame to and from it among them: the supervisor starts another keeper
 * and hands everything over. Not while a supervisor adopts: until it has a duplicate of everything, the two must not both be lost.
 */
import { testCrashes } from "./crash-run.js";
import { scripts } from "./scripts.js";

testCrashes(
  "a keeper that is killed after any one step of its supervisor",
  "in %s takes nothing with it, and nothing is done twice",
  { victim: "keeper", scripts: scripts.filter(({ name }) => name !== "an adoption"), wholeLives: false, every: 15 },
);
