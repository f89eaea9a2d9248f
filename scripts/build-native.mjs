#!/usr/bin/env node
// Builds the addon and the keeper into build/Release, unless what is there was made from the same sources.
// Usage: build-native.mjs [--force] [--target holdfast|holdfast-keeper]
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const TARGETS = ["holdfast", "holdfast-keeper"];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");
const stampFile = join(build, ".stamp");
const require = createRequire(import.meta.url);
const force = process.argv.includes("--force");
const targetAt = process.argv.indexOf("--target");
const targets = targetAt < 0 ? [] : [process.argv[targetAt + 1]];

function fail(sentence, output = "") {
  if (output) process.stderr.write(output);
  process.stderr.write(`holdfast: ${sentence}\n`);
  process.exit(1);
}

/** The node-gyp of this checkout, else the one that npm brings (a consumer's install has no other). */
function findNodeGyp() {
  const places = ["node-gyp/package.json"];
  if (process.env.npm_execpath)
    places.push(join(dirname(process.env.npm_execpath), "../node_modules/node-gyp/package.json"));
  const prefix = dirname(dirname(process.execPath));
  places.push(join(prefix, "lib/node_modules/npm/node_modules/node-gyp/package.json"));
  places.push(join(prefix, "share/nodejs/node-gyp/package.json"));
  for (const place of places) {
    let manifest;
    try {
      manifest = require.resolve(place);
    } catch (error) {
      if (error.code === "MODULE_NOT_FOUND") continue;
      throw error;
    }
    return {
      script: join(dirname(manifest), "bin/node-gyp.js"),
      version: JSON.parse(readFileSync(manifest, "utf8")).version,
    };
  }
  return fail("node-gyp was not found; install it with: npm install --global node-gyp");
}

/** Folders of tests are left out: they do not change what is built here. */
function listSources(folder) {
  const found = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory() && entry.name !== "test") found.push(...listSources(path));
    else if (entry.isFile()) found.push(path);
  }
  return found.sort();
}

function digest(nodeGyp) {
  const hash = createHash("sha256");
  hash.update(`${process.arch} ${process.versions.modules} ${nodeGyp.version} ${targets.join()}`);
  for (const path of ["binding.gyp", ...listSources("native")])
    hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  return hash.digest("hex");
}

function isCurrent(stamp) {
  if (force || !existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) return false;
  return (targets.length > 0 ? targets : TARGETS).every((target) =>
    existsSync(join(build, "Release", target === "holdfast" ? "holdfast.node" : target)),
  );
}

/** True if the process that wrote its pid into the lock is gone. */
function isStale(lock) {
  const pid = Number(readFileSync(lock, "utf8"));
  if (!Number.isInteger(pid) || pid <= 0) return false;
  return !existsSync(`/proc/${pid}`);
}

/** One build at a time: several test runs may find the stamp stale at the same moment. */
function withLock(action) {
  mkdirSync(build, { recursive: true });
  const lock = join(build, ".lock");
  for (;;) {
    let fd;
    try {
      fd = openSync(lock, "wx");
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      if (existsSync(lock) && isStale(lock)) rmSync(lock, { force: true });
      continue;
    }
    try {
      writeSync(fd, String(process.pid));
      return action();
    } finally {
      closeSync(fd);
      rmSync(lock, { force: true });
    }
  }
}

function has(command) {
  return (process.env.PATH ?? "").split(":").some((folder) => folder !== "" && existsSync(join(folder, command)));
}

function checkTools() {
  const compilers = [process.env.CXX ?? "g++", process.env.CC ?? "cc"].map((command) => command.trim().split(/\s+/)[0]);
  const missing = [...compilers, "make"].filter((command) => !command.startsWith("/") && !has(command));
  if (!has("python3") && !has("python") && !process.env.PYTHON && !process.env.npm_config_python)
    missing.push("python3");
  if (missing.length > 0) {
    fail(
      `the native part cannot be built: ${missing.join(", ")} not found (on Debian: apt-get install g++ make python3)`,
    );
  }
}

/** Node's own headers, where they are installed beside it: no download then. */
function headerArguments() {
  const prefix = dirname(dirname(process.execPath));
  const header = join(prefix, "include/node/node_version.h");
  if (!existsSync(header)) return [];
  const text = readFileSync(header, "utf8");
  const version = ["MAJOR", "MINOR", "PATCH"]
    .map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1])
    .join(".");
  return version === process.versions.node ? [`--nodedir=${prefix}`] : [];
}

function runNodeGyp(script, step) {
  const result = spawnSync(process.execPath, [script, ...step], {
    cwd: root,
    env: { ...process.env, JOBS: "2" },
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (result.status !== 0)
    fail("the native part could not be built; the compiler's output is above", `${result.stdout}${result.stderr}`);
}

if (process.platform !== "linux") fail(`Linux is needed, this is ${process.platform}`);
const nodeGyp = findNodeGyp();
if (!isCurrent(digest(nodeGyp))) {
  withLock(() => {
    const stamp = digest(nodeGyp);
    if (isCurrent(stamp)) return;
    checkTools();
    rmSync(stampFile, { force: true });
    runNodeGyp(nodeGyp.script, ["configure", ...headerArguments()]);
    // The addon first: it is of use even where the keeper does not compile.
    for (const target of targets.length > 0 ? targets : TARGETS) runNodeGyp(nodeGyp.script, ["build", target]);
    writeFileSync(stampFile, stamp);
  });
}
