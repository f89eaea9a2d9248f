#!/usr/bin/env node
// Compiles and runs the native tests, plain and with AddressSanitizer and UndefinedBehaviorSanitizer.
// A test is native/FOLDER/test/NAME_test.{c,cc}; it is linked with the other sources of its test folder that are no tests
// themselves, and with those of native/FOLDER, except main.c. Where there is a main.c, the program itself is built in the same
// way, and the test finds its path in HOLDFAST_FOLDER. Usage: test-native.mjs [--valgrind] [part of a name …]
// With --valgrind only tests with a program of their own run, and that program under valgrind(1): what it executes does not, and a finding is its exit code.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, "build/native-tests");
const { values, positionals: wanted } = parseArgs({
  options: { valgrind: { type: "boolean" } },
  allowPositionals: true,
});
const compilers = { ".c": process.env.CC ?? "cc", ".cc": process.env.CXX ?? "c++" };
const standards = { ".c": "-std=c11", ".cc": "-std=c++17" };
const warnings = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"];
/** Its findings are the exit code of the program. Whatever that executes is left alone: workers, supervisors, tests. */
const VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--trace-children=no"];
/** Calls that memcheck does not know (3.19) or takes for its own, and what can be done instead. Linked into the program alone. */
const VALGRIND_CALLS = "valgrind/wrapped_calls.c";
/** Tests of the program itself, but for those that live by calls for which there is no other way: pidfd_getfd(2), and execve(2) of the program by its descriptor, which is valgrind's there. */
const RUNS_IN_VALGRIND = /\/keeper_(?!adopt|reexec|upgrade|shut|valve)\w+_test/;
const allModes = {
  plain: ["-O2", "-g", "-fPIE", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"],
  sanitized: ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"],
  // Not static: memcheck puts its own malloc in the place of the C library's.
  valgrind: ["-O2", "-g", "-fno-omit-frame-pointer", "-DLAUNCH_FORKS"],
};
const { plain, sanitized, valgrind } = allModes;
const modes = values.valgrind ? { valgrind } : { plain, sanitized };

function listFiles(folder, extensions) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isFile() && extensions.includes(extname(entry.name)))
    .map((entry) => `${folder}/${entry.name}`)
    .sort();
}

function isTest(path) {
  return /_test\.(c|cc)$/.test(path);
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", ...options });
  if (result.error) notFound(command);
  return result;
}

function notFound(command) {
  process.stderr.write(`holdfast: the native tests cannot be built: ${command} not found\n`);
  process.exit(1);
}

const made = new Map();
const turns = Array.from({ length: availableParallelism() }, () => Promise.resolve());

/** Makes `output` unless it is there: its name has the hash of everything that it is made from. As many at a time as there are processors. */
function make(output, compiler, args) {
  if (!made.has(output)) {
    const before = turns.shift();
    const making = before.then(() => (existsSync(output) ? undefined : compile(output, compiler, args)));
    turns.push(making);
    made.set(output, making);
  }
  return made.get(output);
}

async function compile(output, compiler, args) {
  const unfinished = `${output}.${process.pid}`;
  const child = spawn(compiler, [...args, "-o", unfinished], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  child.once("error", () => notFound(compiler));
  const [status] = await once(child, "close");
  if (status !== 0) process.exit(1);
  renameSync(unfinished, output);
}

function hashOf(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(String(part.length)).update("\0").update(part);
  return hash.digest("hex").slice(0, 32);
}

const folders = readdirSync(join(root, "native"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => `native/${entry.name}`);
const headers = folders.flatMap((folder) => [...listFiles(folder, [".h"]), ...listFiles(`${folder}/test`, [".h"])]);
const headerHash = hashOf(...headers.flatMap((path) => [path, readFileSync(join(root, path))]));

async function makeObject(source, flags) {
  const extension = extname(source);
  const args = [standards[extension], ...warnings, ...flags];
  const object = join(
    cache,
    `${basename(source)}-${hashOf(compilers[extension], ...args, headerHash, source, readFileSync(join(root, source)))}.o`,
  );
  await make(object, compilers[extension], [...args, "-c", source]);
  return object;
}

/** The keeper is a static program where the toolchain can make one, which its tests of resident memory rely on. */
function staticFlags(mode) {
  if (mode !== "plain") return [];
  const probe = run(compilers[".c"], ["-x", "c", "-fPIE", "-static-pie", "-o", "/dev/null", "-"], {
    input: "int main(void){return 0;}",
  });
  return probe.status === 0 ? ["-static-pie"] : [];
}

async function makeProgram(main, sources, flags, linkFlags = []) {
  const objects = await Promise.all([main, ...sources].map((source) => makeObject(source, flags)));
  const linker = compilers[[main, ...sources].some((source) => source.endsWith(".cc")) ? ".cc" : ".c"];
  const program = join(cache, `${basename(main, extname(main))}-${hashOf(linker, ...flags, ...linkFlags, ...objects)}`);
  await make(program, linker, [...flags, ...linkFlags, ...objects, "-pthread"]);
  return program;
}

/** The variable that tells the tests of a folder where its program is; none without a main.c. */
async function programVariable(folder, sources, mode) {
  const main = `${folder}/main.c`;
  if (!existsSync(join(root, main))) return {};
  const program =
    mode === "valgrind"
      ? underValgrind(
          await makeProgram(main, [...sources, `${folder}/test/${VALGRIND_CALLS}`], modes[mode], [
            "-Wl,--wrap=syscall",
          ]),
        )
      : await makeProgram(main, sources, modes[mode], staticFlags(mode));
  return { [`HOLDFAST_${basename(folder).toUpperCase()}`]: program };
}

/** A program that becomes that one under valgrind(1), with the same pid. */
function underValgrind(program) {
  const script = `${program}.valgrind`;
  writeFileSync(script, `#!/bin/sh\nexec ${VALGRIND.join(" ")} '${program}' "$@"\n`);
  chmodSync(script, 0o755);
  return script;
}

mkdirSync(cache, { recursive: true });
const making = [];
for (const folder of folders) {
  const inTests = listFiles(`${folder}/test`, [".c", ".cc"]);
  const tests = inTests.filter(
    (path) => isTest(path) && (wanted.length === 0 || wanted.some((part) => path.includes(part))),
  );
  const sources = listFiles(folder, [".c", ".cc"]).filter((path) => basename(path) !== "main.c");
  const testSources = inTests.filter((path) => !isTest(path));
  for (const mode of Object.keys(modes)) {
    if (tests.length === 0 || (mode === "valgrind" && !existsSync(join(root, folder, "main.c")))) continue;
    const variable = programVariable(folder, sources, mode);
    for (const test of tests.filter((path) => mode !== "valgrind" || RUNS_IN_VALGRIND.test(path))) {
      const program = makeProgram(test, [...sources, ...testSources], modes[mode]);
      making.push(Promise.all([program, variable]).then(([program, env]) => ({ test, mode, program, env })));
    }
  }
}
// They run once all of them are made, one after another: some look at how long something takes.
let failures = 0;
for (const { test, mode, program, env } of await Promise.all(making)) {
  const result = run(program, [], {
    timeout: mode === "valgrind" ? 900_000 : 300_000,
    env: {
      ...process.env,
      UBSAN_OPTIONS: "print_stacktrace=1",
      ...(mode === "valgrind" ? { HOLDFAST_UNDER_VALGRIND: "1" } : {}),
      ...env,
    },
  });
  const passed = result.status === 0;
  if (!passed) failures += 1;
  process.stdout.write(`${passed ? "ok" : "FAILED"} ${test} (${mode})\n`);
  if (passed) process.stdout.write((result.stdout.match(/^SKIPPED .*\n/gm) ?? []).join("")); // never in silence
  if (!passed)
    process.stdout.write(`${result.stdout}${result.stderr}${result.signal ? `ended by ${result.signal}\n` : ""}`);
}
if (making.length === 0) {
  process.stderr.write("holdfast: there is no such native test\n");
  process.exit(1);
}
process.exit(failures === 0 ? 0 : 1);
