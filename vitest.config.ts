import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Begun last, each of these would run on alone for a minute. */
const longest = ["test/fault/crash-points.test.ts", "test/simulation/simulation.test.ts"];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => longest.findIndex((file) => moduleId.endsWith(file));
    const sorted = await super.sort(files);
    const first = sorted.filter((file) => place(file) >= 0).sort((a, b) => place(a) - place(b));
    return [...first, ...sorted.filter((file) => place(file) < 0)];
  }
}

/**
 * Three files at a time, each in a process of its own: tests with real processes wait as much as they work, so that is what two
 * processors do. What each file starts has a folder, ports and a mark that nobody else has.
 */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    globalSetup: ["test/whole-run.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
