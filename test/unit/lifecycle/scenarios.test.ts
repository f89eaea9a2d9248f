import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { play } from "./scenario.js";

const folder = new URL("scenarios/", import.meta.url);

// `vitest -u` writes the answers of today into the files; what changed is then read in the diff.
describe("the lifecycle answers as written in", () => {
  for (const name of readdirSync(folder).sort()) {
    test(name, async () => {
      const file = new URL(name, folder).pathname;
      await expect(play(readFileSync(file, "utf8"))).toMatchFileSnapshot(file);
    });
  }
});
