import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canRun, readGoldenCases } from "./golden-case.js";
import { canDropPrivileges, unprivileged } from "./program.js";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../../..");

/** Replays every case that needs no privilege; prints the names of those that were equal, and the first difference of the others. */
const program = `
import { isDeepStrictEqual } from "node:util";
import { newDescriptors, openDescriptors } from "./test/unit/ancillary/census.js";
import { canRun, readGoldenCases } from "./test/unit/ancillary/golden-case.js";
import { GoldenReplay } from "./test/unit/ancillary/golden-replay.js";
import { FilledTable } from "./test/unit/ancillary/filled-table.js";
import { wantedResult } from "./test/unit/ancillary/golden-wanted.js";

const equal = [];
const different = [];
for (const golden of readGoldenCases()) {
  if (golden.requires.includes("setuid") || !canRun(golden)) continue;
  const before = openDescriptors();
  const limit = new FilledTable();
  const replay = new GoldenReplay(golden, limit);
  let difference;
  for (const [index, operation] of golden.ops.entries()) {
    const result = replay.run(operation);
    const wanted = wantedResult(golden, index);
    if (!isDeepStrictEqual(result, wanted)) difference ??= { name: golden.name, index, operation, result, wanted };
  }
  limit.restore();
  replay.close();
  const left = newDescriptors(before);
  if (left.length > 0) difference ??= { name: golden.name, left };
  if (difference === undefined) equal.push(golden.name);
  else different.push(difference);
}
console.log(JSON.stringify({ uid: process.getuid(), equal, different }));
`;

// In a folder of its own, which every user may read.
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hf-"));
  chmodSync(folder, 0o755);
  const options =
    "--ignoreConfig --target ES2022 --module NodeNext --skipLibCheck --types node --lib ES2023,ESNext.Disposable";
  const sources = ["golden-replay", "golden-wanted", "filled-table", "census"].map(
    (name) => `test/unit/ancillary/${name}.ts`,
  );
  const args = [...options.split(" "), "--strict", "--rootDir", ".", "--outDir", folder, ...sources];
  await run(process.execPath, ["node_modules/typescript/bin/tsc", ...args], { cwd: root });
  for (const path of ["build/Release/holdfast.node", "test/golden/ancillary.json"]) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    copyFileSync(join(root, path), join(folder, path));
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(folder, "replay.js"), program);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the recording of Rust's SocketAncillary, replayed by a user without privileges", () => {
  test.runIf(canDropPrivileges)("gives the same results as for root, except where root is needed", async () => {
    const [setpriv, ...options] = unprivileged;
    const limit = ["prlimit", "--nofile=1024:1024"];
    const command = [...options, ...limit, process.execPath, join(folder, "replay.js")];
    const { stdout } = await run(setpriv, command, { cwd: "/", maxBuffer: 1 << 24 });
    const { uid, equal, different } = JSON.parse(stdout);
    expect(different).toEqual([]);
    const wanted = readGoldenCases().filter(
      (golden) => !golden.requires.some((need) => need === "root" || need === "setuid") && canRun(golden),
    );
    expect([uid, equal]).toEqual([65533, wanted.map(({ name }) => name)]);
    expect(equal.length).toBeGreaterThan(300);
  });
});
