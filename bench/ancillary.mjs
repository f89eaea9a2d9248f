/**
 * Speed of descriptor passing: sendmsg + recvmsg + close on a stream pair, as ratios to C in the same run. See bench/README.md.
 *
 *   node bench/ancillary.mjs [--rounds 15] [--ms 60] [--cpu N]      --cpu: the processor to stay on; the last one by default, -1 for any
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { buildPrograms, root } from "./lib/programs.mjs";
import { Responder } from "./lib/responder.mjs";
import { median } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";

const LOOPS = {
  bytes: "1 byte",
  fd: "1 byte + 1 descriptor",
  fds: "1 byte + 16 descriptors",
  credentials: "1 byte + credentials",
};
const WANTED = { "thin layer": 1.25, "safe layer": 1.5 };
const USOCKET = "usocket@1.1.0";
const { values } = readOptions({
  options: {
    rounds: number({ min: 1, max: 1000, default: 15 }),
    ms: number({ min: 1, max: 60_000, default: 60 }),
    cpu: number({ min: -1, default: cpus().length - 1 }),
  },
});
const { rounds, ms, cpu } = values;

function skip(sentence) {
  process.stdout.write(`SKIPPED: ${sentence}\n\n`);
}

/** The path of bench/rust/ancillary.rs, compiled; undefined where that cannot be. The interface is unstable, so the compiler is told to pass for a nightly one. */
function buildRust() {
  const source = join(root, "bench/rust/ancillary.rs");
  const program = join(root, "build/bench/ancillary-rust");
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  const compiled = spawnSync("rustc", ["-O", "--edition", "2021", "-o", program, source], {
    env: { ...process.env, RUSTC_BOOTSTRAP: "1" },
    encoding: "utf8",
  });
  if (compiled.status === 0) return program;
  skip(`Rust: ${compiled.error === undefined ? `rustc cannot compile it\n${compiled.stderr}` : "there is no rustc"}`);
  return undefined;
}

/** The folder that usocket is installed in, which is no folder of this project's dependencies; undefined where that cannot be. */
function installUsocket() {
  const folder = join(root, "build/bench/usocket");
  mkdirSync(folder, { recursive: true });
  if (existsSync(join(folder, "node_modules/usocket/build/Release/uwrap.node"))) return folder;
  const installed = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, USOCKET], {
    encoding: "utf8",
  });
  if (installed.status === 0) return folder;
  skip(`${USOCKET}: it cannot be installed\n${installed.stderr ?? installed.error?.message}`);
  return undefined;
}

function hasTaskset() {
  return spawnSync("taskset", ["--version"]).status === 0;
}

mkdirSync(join(root, "build/bench"), { recursive: true });
process.stdout.write(describeMachine());
const onCpu = cpu !== -1 && hasTaskset() ? ["taskset", "-c", String(cpu)] : [];
const start = (...command) => {
  const [program, ...args] = [...onCpu, ...command];
  return new Responder(program, args);
};
const node = (name, ...args) => start(process.execPath, join(root, "bench/loops", name), ...args);
const programs = buildPrograms();
const rust = buildRust();
const usocket = installUsocket();
const all = Object.keys(LOOPS);
const contenders = [
  { name: "C", start: () => start(programs.ancillary), loops: all },
  { name: "C, with a second thread", start: () => start(programs.ancillary, "thread"), loops: all },
  ...(rust === undefined ? [] : [{ name: "Rust std", start: () => start(rust), loops: all }]),
  { name: "thin layer", start: () => node("thin.mjs"), loops: all },
  { name: "thin layer, owners", start: () => node("thin.mjs", "owners"), loops: ["fd", "fds"] },
  { name: "safe layer", start: () => node("safe.mjs"), loops: all },
  // It carries no credentials.
  ...(usocket === undefined
    ? []
    : [{ name: "usocket", start: () => node("usocket.mjs", usocket), loops: ["bytes", "fd", "fds"] }]),
];

/** Each loop in a process of its own, with the number of iterations that takes about `ms`. The first rounds come from code that is not optimised yet. */
async function prepare(contender, loop) {
  const program = contender.start();
  await program.ask(`${loop} 20000`);
  const line = `${loop} ${Math.ceil((ms * 1e6) / Number(await program.ask(`${loop} 20000`)))}`;
  for (let warm = 0; warm < 5; warm++) await program.ask(line);
  return { program, line };
}

const samples = contenders.map(() => ({}));
for (const loop of all) {
  const running = [];
  try {
    for (const [index, contender] of contenders.entries()) {
      if (contender.loops.includes(loop)) running.push({ index, ...(await prepare(contender, loop)) });
    }
    // In turns, and the ratio is taken within each round: whatever else the machine does meets all of them.
    for (let round = 0; round < rounds; round++) {
      for (const { index, program, line } of running) {
        samples[index][loop] ??= [];
        samples[index][loop].push(Number(await program.ask(line)));
      }
    }
  } finally {
    for (const { program } of running) await program.end();
  }
}

const [floor] = samples;
const ratioOf = (index, loop) => median(samples[index][loop].map((ns, round) => ns / floor[loop][round]));
const leastRatioOf = (index, loop) => Math.min(...samples[index][loop]) / Math.min(...floor[loop]);
const each = (headings, cell) =>
  printTable(
    ["", ...Object.values(LOOPS)],
    headings.map(([index, name]) => [
      name,
      ...all.map((loop) => (contenders[index].loops.includes(loop) ? cell(index, loop) : "-")),
    ]),
  );
const rows = [...contenders.entries()].map(([index, { name }]) => [index, name]);

process.stdout.write(`Nanoseconds for one iteration, median of ${rounds} rounds (fastest)\n\n`);
each(
  rows,
  (index, loop) => `${median(samples[index][loop]).toFixed(0)} (${Math.min(...samples[index][loop]).toFixed(0)})`,
);
process.stdout.write("\nRatio to C: median of the ratios within a round (fastest to fastest)\n\n");
each(rows.slice(1), (index, loop) => `${ratioOf(index, loop).toFixed(2)} (${leastRatioOf(index, loop).toFixed(2)})`);
process.stdout.write("\n");
for (const [index, name] of rows) {
  if (!(name in WANTED)) continue;
  const worst = Math.max(...contenders[index].loops.map((loop) => ratioOf(index, loop)));
  process.stdout.write(`${name}: at most ${worst.toFixed(2)} × C, wanted ${WANTED[name]}\n`);
}
