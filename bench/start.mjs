/**
 * How long the programs take from their start until they are there, bundled and as the TypeScript compiler has left them. See bench/README.md.
 *
 *   node bench/start.mjs [--times 20]
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { descendants, readMemory } from "./lib/proc.mjs";
import { root } from "./lib/programs.mjs";
import { formatMs, median } from "./lib/samples.mjs";
import { printTable } from "./lib/table.mjs";
import { until } from "./lib/until.mjs";

const { values } = readOptions({ options: { times: number({ min: 1, max: 200, default: 20 }) } });
const directory = mkdtempSync(join(tmpdir(), "holdfast-start-"));
const file = join(directory, "holdfast.toml");
const control = join(directory, "control.sock");
writeFileSync(
  file,
  `version = 1\n[supervisor]\ncontrol = "${control}"\n[service.bench]\ncommand = ["sleep", "1000"]\n`,
);

const programs = [
  { name: "Node.js itself", argv: ["-e", "0"] },
  { name: "holdfast check, as compiled", argv: [join(root, "dist/cli/main.js"), "check", "-c", file] },
  { name: "holdfast check, bundled", argv: [join(root, "dist/bin/holdfast.js"), "check", "-c", file] },
  { name: "supervisor, as compiled", supervisor: join(root, "dist/daemon/main.js") },
  { name: "supervisor, bundled", supervisor: join(root, "dist/bin/supervisor.js") },
].map((program) => ({ ...program, wall: [], own: [], memory: [] }));

process.stdout.write(describeMachine());
try {
  for (let round = 0; round < values.times; round++) {
    for (const { argv, supervisor, wall, ...counts } of programs) {
      if (argv === undefined) await startSupervisor(supervisor, { wall, ...counts });
      else runToEnd(argv, wall);
    }
  }
} finally {
  rmSync(directory, { recursive: true });
}
printTable(
  ["program", "time, ms", "of it beyond Node.js", "processor time, ms", "resident, MiB"],
  programs.map(({ name, wall, own, memory }) => [
    name,
    formatMs(median(wall)),
    formatMs(median(wall) - median(programs[0].wall)),
    formatMs(median(own)),
    formatMs(median(memory)),
  ]),
);

function runToEnd(argv, wall) {
  const begun = performance.now();
  const { status } = spawnSync(process.execPath, argv, { stdio: "ignore" });
  wall.push(performance.now() - begun);
  if (status !== 0) throw new Error(`${argv.join(" ")} ended with ${status}`);
}

/** Until operators can reach it; with the processor time that it has taken by then, in ms, and its memory, in MiB. */
async function startSupervisor(program, { wall, own, memory }) {
  const keeper = join(root, "build/Release/holdfast-keeper");
  const begun = performance.now();
  const child = spawn(keeper, ["--", process.execPath, program, "-c", file], { stdio: "ignore" });
  try {
    await until(`${program} listens`, () => existsSync(control), { everyMs: 1 });
    wall.push(performance.now() - begun);
    const { pid, cpuMs } = descendants(child.pid).find(({ name }) => name !== "sleep");
    own.push(cpuMs);
    memory.push(readMemory(pid).rss / 1024);
  } finally {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }
}
