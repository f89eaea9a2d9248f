/**
 * Lines of 100 bytes from one worker to a file, as fast as they are taken. See bench/README.md.
 *
 *   node bench/logs.mjs [--megabytes 200]
 *
 * Exits with 1 when a line was lost or changed.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { startHoldfast } from "./lib/holdfast.mjs";
import { describeMachine } from "./lib/machine.mjs";
import { number, readOptions } from "./lib/options.mjs";
import { buildPrograms } from "./lib/programs.mjs";
import { printTable } from "./lib/table.mjs";
import { until } from "./lib/until.mjs";

const { values } = readOptions({ options: { megabytes: number({ min: 1, max: 2000, default: 200 }) } });
const bytes = values.megabytes * 1_000_000;
const lines = bytes / 100;
const WAYS = { "64 KiB at a time": 65_600, "line by line": 100 };
const programs = buildPrograms();
const directory = mkdtempSync(join(tmpdir(), "holdfast-logs-"));

/** Resolves with the time until the file has all bytes; `begun` is when the writer was started. */
async function complete(path, begun) {
  await until(`${path} is complete`, () => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= bytes, {
    timeoutMs: 120_000,
    everyMs: 2,
  });
  return performance.now() - begun;
}

async function straightToFile(path, size) {
  const file = openSync(path, "w");
  const begun = performance.now();
  await once(spawn(programs.flood, [String(lines), String(size)], { stdio: ["ignore", file, "inherit"] }), "exit");
  closeSync(file);
  return complete(path, begun);
}

async function throughCat(path, size) {
  const begun = performance.now();
  const script = `"${programs.flood}" ${lines} ${size} | cat > "${path}"`;
  await once(spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "ignore", "inherit"] }), "exit");
  return complete(path, begun);
}

async function throughHoldfast(path, size) {
  const holdfast = await startHoldfast({
    config: `
      [service.flood]
      command = ["${programs.flood}", "${lines}", "${size}"]
      start = "manual"
      ready = { when = "spawned" }
      restart = { when = "never" }
      log = { to = "file:${path}" }`,
  });
  try {
    const begun = performance.now();
    const started = holdfast.act("flood", { action: "start" });
    const ms = await complete(path, begun);
    await started;
    return ms;
  } finally {
    await holdfast.dispose();
  }
}

async function digest(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

process.stdout.write(describeMachine());
const rows = [];
try {
  const expected = join(directory, "expected");
  await straightToFile(expected, WAYS["line by line"]);
  const wanted = await digest(expected);
  for (const [way, size] of Object.entries(WAYS)) {
    for (const [name, measure] of Object.entries({
      "straight to the file": straightToFile,
      "through cat": throughCat,
      Holdfast: throughHoldfast,
    })) {
      const path = join(directory, "log");
      const ms = await measure(path, size);
      const intact = (await digest(path)) === wanted;
      if (!intact) process.exitCode = 1;
      rows.push([`${name}, ${way}`, (bytes / 1000 / ms).toFixed(0), intact ? "none" : "SOME"]);
      rmSync(path);
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
printTable([`${values.megabytes} MB of lines of 100 bytes`, "MB/s", "lost or changed"], rows);
