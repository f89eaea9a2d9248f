#!/usr/bin/env node
// Static analysis of the native code: `npm run analyze`. Every finding is a failure. What is not installed is said and skipped; only that
// nothing at all could be run is a failure, too.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiler = process.env.CC ?? "cc";
const cppcheckFlags = ["--enable=warning,performance,portability", "--inline-suppr", "--error-exitcode=1", "-q", "-j2"];

function run(command, args, input) {
  return spawnSync(command, args, { cwd: root, encoding: "utf8", input });
}

/** The C sources of a folder of native/. */
function sourcesOf(folder) {
  const path = join("native", folder);
  return readdirSync(join(root, path))
    .filter((name) => name.endsWith(".c"))
    .map((name) => join(path, name));
}

/** GCC's own analyzer. Without optimisation: with it, GCC 12 joins the comparison of two fields into one read and calls the fields uninitialised. */
function analyzeWithGcc() {
  const flags = ["-std=c11", "-O0", "-fanalyzer", "-Werror", "-fdiagnostics-color=never", "-c", "-o", "/dev/null"];
  if (run(compiler, [...flags, "-x", "c", "-"], "int main(void){return 0;}").status !== 0) {
    return { missing: `${compiler} has no -fanalyzer (GCC 10 and later have it)` };
  }
  const failed = sourcesOf("keeper")
    .map((source) => run(compiler, [...flags, source]))
    .filter(({ status }) => status !== 0);
  return { findings: failed.map(({ stderr }) => stderr).join("") };
}

function checkWithCppcheck() {
  if (run("cppcheck", ["--version"]).status !== 0) {
    return { missing: "cppcheck is not installed (on Debian: apt-get install cppcheck)" };
  }
  const parts = [
    ["--std=c11", "native/keeper"],
    ["--std=c++17", "--language=c++", "native/sys", "native/addon"],
  ];
  const failed = parts.map((part) => run("cppcheck", [...cppcheckFlags, ...part])).filter(({ status }) => status !== 0);
  return { findings: failed.map(({ stdout, stderr }) => stdout + stderr).join("") };
}

let ran = 0;
let failures = 0;
for (const [name, analyze] of Object.entries({ "gcc -fanalyzer": analyzeWithGcc, cppcheck: checkWithCppcheck })) {
  const { missing, findings } = analyze();
  if (missing !== undefined) {
    process.stdout.write(`SKIPPED ${name}: ${missing}\n`);
    continue;
  }
  ran += 1;
  if (findings !== "") failures += 1;
  process.stdout.write(findings === "" ? `ok ${name}\n` : `FAILED ${name}\n${findings}`);
}
if (ran === 0) process.stderr.write("holdfast: nothing is installed that could analyze the native code\n");
process.exit(ran > 0 && failures === 0 ? 0 : 1);
