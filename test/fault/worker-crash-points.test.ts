/**
 * A worker ends after each step of the supervisor (crash-points.test.ts): in turns the newest and the oldest one, which may be starting, ready, told to stop or in the middle of
 * a rolling restart. It ends by SIGKILL between two connections, so no request may fail.
 */
import { testCrashes } from "./crash-run.js";
import { scripts } from "./scripts.js";

testCrashes(
  "a worker that ends after any one step of the supervisor",
  "in %s costs no request, and what runs then is right",
  {
    victim: "worker",
    scripts,
    wholeLives: false,
    every: 20,
  },
);
