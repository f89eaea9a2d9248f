/**
 * All checks, one after another, to the end: style, types, native tests, vitest.
 *
 *   node scripts/test.mjs [--report FILE] [ARGUMENTS FOR VITEST…]
 *
 * The last line is `N passed, N failed[, N skipped]`: the tests of vitest, and each other check that failed as one more.
 * The same numbers are written to FILE (build/test-report.json) as {passed, failed, skipped}. Exit code: 0 or 1.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values, positionals } = parseArgs({
  options: { report: { type: "string", default: join(root, "build/test-report.json") } },
  allowPositionals: true,
});
const vitestReport = join(root, "build/vitest-report.json");

// The workers of the tests get a clean environment: extra certificates alone make each start of Node 40 ms longer.
const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;

const failedChecks = [];
check("style", "node_modules/@biomejs/biome/bin/biome", ["check", "."]);
check("types", "node_modules/typescript/bin/tsc", ["--noEmit", "-p", "."]);
check("types of the tests", "node_modules/typescript/bin/tsc", ["-p", "test"]);
check("native tests", "scripts/test-native.mjs", []);

rmSync(vitestReport, { force: true });
const vitestArguments = [
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${vitestReport}`,
  ...positionals,
];
const vitestPassed = run("node_modules/vitest/vitest.mjs", vitestArguments);

const totals = readTotals();
totals.failed += failedChecks.length;
if (!vitestPassed && totals.failed === 0) totals.failed = 1; // e.g. an error outside any test
if (failedChecks.length > 0) process.stdout.write(`\nFailed besides the tests of vitest: ${failedChecks.join(", ")}\n`);
mkdirSync(dirname(values.report), { recursive: true });
writeFileSync(values.report, JSON.stringify(totals));
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
process.exitCode = totals.failed > 0 ? 1 : 0;

function check(name, script, args) {
  process.stdout.write(`\n== ${name}\n`);
  if (!run(script, args)) failedChecks.push(name);
}

function run(script, args) {
  const result = spawnSync(process.execPath, [script, ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: environment,
  });
  if (result.error !== undefined) process.stderr.write(`${script}: ${result.error.message}\n`);
  return result.status === 0;
}

/** Numbers of vitest's JSON report. A test file that could not be loaded has no tests: it counts as one failure. */
function readTotals() {
  if (!existsSync(vitestReport)) return { passed: 0, failed: 1, skipped: 0 };
  const report = JSON.parse(readFileSync(vitestReport, "utf8"));
  const unloaded = report.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloaded,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
