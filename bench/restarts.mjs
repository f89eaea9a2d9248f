/**
 * Restarts in a row under load. See bench/README.md.
 *
 *   node bench/restarts.mjs [--worker NAME,…] [--mode new,ka] [--broken NAME,… | --kill-supervisor] [--times 10] [--rate N] [--pause-ms 1000]
 *                           [--address tcp|tcp6|unix] [--seed N] [--json]
 *
 * Without --worker: each one of bench/lib/bench-workers.mjs that can run here. Exits with 1 when a line that promises 0 has something else.
 */
import { BROKEN, WORKERS } from "./lib/bench-workers.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions, refuse } from "./lib/options.mjs";
import { printReceipts, printRestarts } from "./lib/print-restarts.mjs";
import { runRestarts } from "./lib/restart-run.mjs";

const text = { type: "string" };
const { values } = readOptions({
  options: {
    ...{ worker: text, mode: text, broken: text, "kill-supervisor": { type: "boolean", default: false } },
    ...{ times: number({ min: 1, max: 1000, default: 10 }), rate: number({ min: 1, max: 5000 }) },
    ...{ "pause-ms": number({ max: 60_000, default: 1000 }), seed: number() },
    ...{ address: { ...text, default: "tcp" }, json: { type: "boolean", default: false } },
  },
});

/** Each run that was asked for: {name, mode, broken?, killSupervisor}. */
function wanted() {
  const faulty = values.broken !== undefined || values["kill-supervisor"];
  const names = values.worker?.split(",") ?? (faulty ? ["node-plain"] : Object.keys(WORKERS));
  const breaks = values.broken?.split(",") ?? [undefined];
  for (const [kind, known, given] of [
    ["worker", WORKERS, names],
    ["broken version", BROKEN, breaks.filter((name) => name !== undefined)],
  ])
    for (const name of given)
      if (known[name] === undefined) refuse(`there is no ${kind} "${name}", but ${Object.keys(known).join(", ")}`);
  return names.flatMap((name) => {
    const { kind = "http", promises } = WORKERS[name];
    const modes = kind !== "http" ? ["new"] : (values.mode?.split(",") ?? Object.keys(promises));
    return modes.flatMap((mode) =>
      breaks.map((broken) => ({ name, mode, broken, killSupervisor: values["kill-supervisor"] })),
    );
  });
}

const options = {
  times: values.times,
  rate: values.rate,
  pauseMs: values["pause-ms"],
  address: values.address,
  seed: values.seed ?? Math.floor(Math.random() * 2 ** 31),
};

const say = (line) => process.stderr.write(`${line}\n`);
if (!values.json) process.stdout.write(describeMachine());
if (values["kill-supervisor"]) say(`seed ${options.seed}`);
const runs = [];
for (const run of wanted()) {
  const result = await runRestarts(run, options);
  if (result.skipped === undefined) runs.push(result);
  else say(`SKIPPED ${[run.name, run.mode, run.broken].filter(Boolean).join(" ")}: ${result.skipped}`);
}

if (values.json) process.stdout.write(`${JSON.stringify(runs)}\n`);
else {
  printRestarts(runs);
  printReceipts(runs);
}
if (runs.some(({ broken }) => broken.length > 0)) process.exitCode = 1;
