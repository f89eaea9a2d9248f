import { defineConfig } from "vitest/config";

// Tests that start real processes share two cores, so files run one after another in forked processes.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
