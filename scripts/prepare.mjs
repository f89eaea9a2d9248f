/**
 * Makes a checkout runnable: dependencies, native parts, compiled TypeScript. Only what is missing or out of date is made.
 *
 *   node scripts/prepare.mjs [--quiet]      --quiet: prints only what takes long
 *
 * It runs in an empty clone, so it imports nothing but Node's own modules. "Out of date" is decided by the content of
 * the inputs, kept as a hash beside the outputs; a checkout that is up to date is only read, so it may be read-only.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const LOWEST_NODE = [20, 19];
const STOPS = ["SIGINT", "SIGTERM", "SIGHUP"];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes("--quiet");

/** What must be there, in this order; `run` makes `outputs` from `inputs`. */
const STEPS = [
  {
    name: "dependencies",
    says: "installing the dependencies…",
    inputs: ["package-lock.json"],
    outputs: ["node_modules"],
    stamp: "node_modules/.prepared",
    run: () =>
      command("npm", ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]),
  },
  {
    name: "native parts",
    says: "building the native parts…",
    inputs: ["binding.gyp", "native", "scripts/build-native.mjs", "package-lock.json"],
    outputs: ["build/Release/holdfast.node", "build/Release/holdfast-keeper"],
    stamp: "build/.prepared",
    run: () => command(process.execPath, ["scripts/build-native.mjs"]),
  },
  {
    name: "TypeScript",
    says: "compiling the TypeScript…",
    inputs: ["tsconfig.json", "src", "scripts/bundle.mjs", "package-lock.json"],
    outputs: ["dist", "dist/bin/holdfast.js", "dist/bin/supervisor.js"],
    stamp: "dist/.prepared",
    run: async () => {
      await command(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."]);
      removeOrphans();
      await command(process.execPath, ["scripts/bundle.mjs"]);
    },
  },
];

refuseOtherMachines();
for (const step of STEPS) await make(step);

function refuseOtherMachines() {
  if (process.platform !== "linux") fail(`Holdfast runs on Linux only; this is ${process.platform}.`);
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < LOWEST_NODE[0] || (major === LOWEST_NODE[0] && minor < LOWEST_NODE[1])) {
    fail(`Holdfast needs Node.js ${LOWEST_NODE.join(".")} or later; this is ${process.versions.node}.`);
  }
}

async function make(step) {
  const stamp = join(root, step.stamp);
  const wanted = fingerprint(step.inputs);
  const upToDate =
    existsSync(stamp) &&
    readFileSync(stamp, "utf8") === wanted &&
    step.outputs.every((path) => existsSync(join(root, path)));
  if (upToDate) {
    if (!quiet) process.stderr.write(`${step.name}: up to date\n`);
    return;
  }
  process.stderr.write(`${step.says}\n`);
  rmSync(stamp, { force: true }); // An interrupted run must not look finished.
  await step.run();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

/** One hash of the content of all files, of the Node ABI and of the architecture. A path that is missing counts as such. */
function fingerprint(paths) {
  const hash = createHash("sha256").update(`${process.versions.modules} ${process.arch}\n`);
  for (const path of paths) {
    for (const file of filesBelow(path)) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

function filesBelow(path) {
  let entries;
  try {
    entries = readdirSync(join(root, path), { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOTDIR") return [path];
    if (error.code === "ENOENT") return [];
    throw error;
  }
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(path, entry.name)) : [join(path, entry.name)]));
}

/** What was removed from src must not live on in dist (dist/bin has its own order). The rest stays in place: a supervisor may be running from it. */
function removeOrphans() {
  for (const file of filesBelow("dist")) {
    const source = /^dist\/(.+?)(\.d\.ts|\.js)(\.map)?$/.exec(file)?.[1];
    if (source === undefined || source.startsWith("bin/")) continue;
    if (!existsSync(join(root, "src", `${source}.ts`))) rmSync(join(root, file));
  }
}

/**
 * Runs to the end. With --quiet the output is shown only when the command failed.
 *
 * Whoever ends this program ends the command with it, and at once: npm takes a signal for a wish to undo its work, minutes
 * later and in the background, and would remove the node_modules of the next run.
 */
async function command(program, args) {
  const child = spawn(program, args, {
    cwd: root,
    detached: true, // A process group of its own, so that all of it can be ended.
    stdio: quiet ? ["ignore", "pipe", "pipe"] : ["ignore", 2, 2],
  });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (bytes) => output.push(bytes));
  const stop = (signal) => {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    process.stderr.write(`${signal}: stopped; the next run begins this step anew\n`);
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of STOPS) process.once(signal, stop);
  const end = await new Promise((resolve) => {
    child.once("error", (error) => fail(`${program} could not be started: ${error.message}`));
    child.once("close", (status, signal) => resolve(signal ?? `exit ${status}`));
  });
  for (const signal of STOPS) process.removeListener(signal, stop);
  if (end === "exit 0") return;
  if (quiet) process.stderr.write(Buffer.concat(output));
  fail(`${[program, ...args].join(" ")} failed (${end}).`);
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
