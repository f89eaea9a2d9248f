/**
 * The supervisor is killed after each thing that it does to the world: each frame to and from the keeper, each bind, each signal, each
 * datagram of a worker. In one run every fourth of these steps, from a first one that is different each time (HOLDFAST_SEED brings it back), and all of them with
 * HOLDFAST_CRASH_EVERY=1.
 */
import { testCrashes } from "./crash-run.js";
import { scripts } from "./scripts.js";

testCrashes("a supervisor that is killed after any one step", "of %s loses nothing and does nothing twice", {
  victim: "supervisor",
  scripts,
  wholeLives: true,
  every: 4,
});
