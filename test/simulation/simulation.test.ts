import { describe, expect, test } from "vitest";
import { PLANTED_BUGS } from "./planted-bugs.mjs";
import { withSimulation } from "./simulation.js";

const STEPS = Number(process.env.HOLDFAST_SIMULATION_STEPS ?? 80_000);
/** A bug that needs more is too well hidden to be found in a change. */
const MOST_STEPS_TO_A_BUG = 250_000;
const PROCESSES = 2;
const MINUTES = 60_000;

describe("a supervisor in a simulated world", () => {
  test(
    `keeps the laws for ${STEPS} steps`,
    async () => {
      const seed = Number(process.env.HOLDFAST_SEED ?? 7919);
      process.stdout.write(`HOLDFAST_SEED=${seed}\n`);
      await withSimulation([], async (run) => {
        const share = String(Math.ceil(STEPS / PROCESSES));
        const results = await Promise.all(
          Array.from({ length: PROCESSES }, (_, index) =>
            run("--seed", String(seed + index * 1_000_000), "--steps", share),
          ),
        );
        for (const { failure, text } of results) if (failure !== undefined) expect.fail(text);
        expect(results.reduce((sum, { steps }) => sum + steps, 0)).toBeGreaterThanOrEqual(STEPS);
        for (const { tally } of results) {
          for (const what of ["supervisors started", "restarted", "rolled-back", "draining", "stranded", "faults"])
            expect(tally[what], what).toBeGreaterThan(0);
          for (const what of ["awaits", "released", "completed"]) expect(tally[what], what).toBeGreaterThan(0);
        }
      });
    },
    15 * MINUTES,
  );

  test(
    "does the same for the same seed",
    async () => {
      await withSimulation([], async (run) => {
        const [first, second] = await Promise.all([run("--steps", "3000"), run("--steps", "3000")]);
        expect(second).toEqual({ ...first, text: second.text, milliseconds: expect.any(Number) });
      });
    },
    5 * MINUTES,
  );
});

describe("a planted bug is found:", () => {
  test.each(PLANTED_BUGS)(
    "$name",
    async (bug) => {
      await withSimulation([bug], async (run) => {
        const { failure, steps } = await run("--seed", "1", "--steps", String(MOST_STEPS_TO_A_BUG), "--unshrunk");
        expect(failure, `nothing in ${steps} steps`).toBeDefined();
        expect(failure!.law).toMatch(bug.law);
      });
    },
    5 * MINUTES,
  );
});

describe("the trace of a failure", () => {
  test(
    "is short, and a scenario",
    async () => {
      const bug = PLANTED_BUGS.find(({ name }) => name === "an asker is answered twice")!;
      await withSimulation([bug], async (run) => {
        const { failure, text } = await run("--seed", "1", "--steps", "100000");
        expect(failure!.law).toMatch(bug.law);
        const acts = Number(/after (\d+) acts/.exec(text)?.[1]);
        expect(acts).toBeLessThan(20);
        expect(text).toMatch(/^@\d+ [A-Z] \w+/m);
        expect(text).toMatch(/^ {2}answer [A-Z] /m);
      });
    },
    5 * MINUTES,
  );
});
