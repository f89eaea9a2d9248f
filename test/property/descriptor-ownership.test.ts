import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { newDescriptors, openDescriptors } from "../unit/ancillary/census.js";
import { DescriptorModel, operationNames } from "./descriptor-model.js";

/** FC_SEED runs the same operations again, FC_RUNS more of them. */
const seed = Number(process.env.FC_SEED ?? Date.now() % 0x7fffffff);
const numRuns = Number(process.env.FC_RUNS ?? 200);

const operation = fc.record({
  name: fc.constantFrom(...operationNames),
  x: fc.nat(1000),
  y: fc.nat(1000),
});

describe("any row of operations with descriptors", () => {
  beforeAll(() => {
    process.stdout.write(`descriptor ownership: FC_SEED=${seed}\n`);
  });

  // It computes and never waits: four seconds, and many times that where others want the processor as well.
  test("leaves exactly those open that somebody owns, after each of them, and none at the end", {
    timeout: 180_000,
  }, () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60, size: "max" }), (operations) => {
        const before = openDescriptors();
        const model = new DescriptorModel();
        try {
          for (const [index, next] of operations.entries()) {
            model.perform(next);
            const { wanted, found } = model.compare();
            expect(found, `after operation ${index}, ${next.name}`).toEqual(wanted);
          }
        } finally {
          model.end();
        }
        expect(newDescriptors(before)).toEqual([]);
      }),
      { seed, numRuns },
    );
  });
});
