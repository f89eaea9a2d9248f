/**
 * Fuzzes the decoders of bytes from elsewhere, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.
 *
 *   node scripts/fuzz.mjs [control|message|request|state …] [--seconds 60]
 *
 * Each target (test/fuzz/NAME_fuzzer.*) starts from its seeds in test/fuzz/corpus and from what earlier runs found (build/fuzz/NAME). An input
 * that breaks it is kept there as crash-…; `build/fuzz/NAME/fuzzer FILE` replays it. Without clang, nothing is fuzzed: that is said, and no failure.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { number, readOptions, refuse } from "../bench/lib/options.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What is fuzzed, and the sources that it is made of. Longer inputs than `longest` (bytes) tell nothing new. */
const TARGETS = {
  control: { main: "control_fuzzer.cc", sources: ["native/sys/control.cc"], longest: 2100 },
  message: { main: "message_fuzzer.c", sources: ["native/keeper/message.c"], longest: 1400 },
  request: {
    main: "request_fuzzer.c",
    sources: [
      "frame.c",
      "acceptor_limits.c",
      "adopted.c",
      "registration.c",
      "request.c",
      "fetch_fd.c",
      "shut.c",
      "start.c",
    ].map((name) => `native/keeper/${name}`),
    longest: 4096,
  },
  // The whole keeper but its main function and its memory, which the fuzzer has itself.
  state: {
    main: "state_fuzzer.c",
    sources: readdirSync(join(root, "native/keeper"))
      .filter((name) => name.endsWith(".c") && name !== "main.c" && name !== "budget.c")
      .map((name) => `native/keeper/${name}`),
    longest: 4096,
  },
};

const { values, positionals } = readOptions({
  options: { seconds: number({ min: 1, default: 60 }) },
  allowPositionals: true,
});
const { seconds } = values;
const wanted = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const unknown = wanted.filter((name) => !Object.hasOwn(TARGETS, name));
if (unknown.length > 0) refuse(`there is no target "${unknown[0]}", but ${Object.keys(TARGETS).join(", ")}`);

/** Both compilers link the fuzzer's own main; it is a part of clang that Debian packs by itself. */
function canFuzz() {
  const probe = spawnSync("clang++", ["-x", "c++", "-fsanitize=fuzzer,address,undefined", "-o", "/dev/null", "-"], {
    input: 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }',
    encoding: "utf8",
  });
  if (probe.status === 0) return true;
  const reason = probe.error === undefined ? "clang has no libFuzzer" : "clang is not installed";
  process.stdout.write(`SKIPPED fuzzing: ${reason} (on Debian: apt-get install clang libclang-rt-dev)\n`);
  return false;
}

/** The path of the program; throws with what the compiler said. */
function build(name) {
  const { main, sources } = TARGETS[name];
  const program = join(root, "build/fuzz", name, "fuzzer");
  mkdirSync(join(root, "build/fuzz", name, "corpus"), { recursive: true });
  const isCpp = main.endsWith(".cc");
  const compiled = spawnSync(
    isCpp ? "clang++" : "clang",
    [
      isCpp ? "-std=c++17" : "-std=c11",
      ...["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer"],
      ...["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"],
      ...["-o", program, join("test/fuzz", main), ...sources],
    ],
    { cwd: root, encoding: "utf8" },
  );
  if (compiled.status !== 0) throw new Error(`${name} does not compile\n${compiled.stderr}`);
  return program;
}

/** True if nothing broke. */
async function fuzz(name) {
  const folder = join(root, "build/fuzz", name);
  const fuzzer = spawn(
    build(name),
    [
      ...[`-max_total_time=${seconds}`, `-max_len=${TARGETS[name].longest}`, "-timeout=10", "-print_final_stats=1"],
      ...[`-artifact_prefix=${folder}/`, join(folder, "corpus"), join(root, "test/fuzz/corpus", name)],
    ],
    { cwd: root, stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, UBSAN_OPTIONS: "print_stacktrace=1" } },
  );
  let said = "";
  fuzzer.stderr.setEncoding("utf8").on("data", (text) => {
    said = (said + text).slice(-200_000);
  });
  const code = await new Promise((resolve) => fuzzer.once("close", resolve));
  const runs = /number_of_executed_units:\s*(\d+)/.exec(said)?.[1] ?? "?";
  const coverage = [...said.matchAll(/ cov: (\d+) ft: (\d+)/g)].at(-1) ?? [undefined, "?", "?"];
  if (code === 0) process.stdout.write(`ok ${name}: ${runs} inputs, ${coverage[1]} edges, ${coverage[2]} features\n`);
  else process.stdout.write(`FAILED ${name}\n${said.slice(-8000)}\n`);
  return code === 0;
}

if (canFuzz()) {
  for (const name of wanted) {
    if (
      !existsSync(join(root, "test/fuzz/corpus", name)) ||
      readdirSync(join(root, "test/fuzz/corpus", name)).length === 0
    )
      throw new Error(`test/fuzz/corpus/${name} has no seeds`);
  }
  const left = [...wanted];
  const results = [];
  const work = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) results.push(await fuzz(name));
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), wanted.length) }, work));
  process.exitCode = results.every(Boolean) ? 0 : 1;
}
