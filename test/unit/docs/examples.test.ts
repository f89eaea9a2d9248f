import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseConfigText } from "../../../src/daemon/config/index.js";
import { ACCOUNTS } from "../config/fixture.js";
import { root } from "./fences.js";

const folder = join(root, "config/examples");
const files = readdirSync(folder).filter((name) => name.endsWith(".toml"));
const programs = readdirSync(join(root, "test/integration/real-programs")).flatMap((name) =>
  name.endsWith(".test.ts") ? [basename(name, ".test.ts")] : [],
);

describe("an example", () => {
  test.each(files)("%s is right, without a warning, and has its line in the list", (name) => {
    const path = join(folder, name);
    const result = parseConfigText(readFileSync(path, "utf8"), path, { env: {}, uid: 0, accountFolder: ACCOUNTS });
    expect(result.ok ? result.warnings : result.problems).toEqual([]);
    expect(readFileSync(join(folder, "README.md"), "utf8")).toContain(`[${name}](${name})`);
  });

  test.each(programs)("is there for %s, which a test runs", (name) => expect(files).toContain(`${name}.toml`));
});
