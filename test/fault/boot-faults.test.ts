/** As injected-faults.test.ts, for the keeper's own start: it may end then, but it has to say of what. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { faultsOf } from "./errors-of-calls.js";
import { KeeperRun } from "./keeper-run.js";
import { type Fault, parseTrace, straceArguments, whyNoStrace } from "./strace.js";

const every = Math.max(1, Number(process.env.HOLDFAST_FAULTS_EVERY ?? 32));
const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * every));
const missing = whyNoStrace();
if (missing !== undefined) process.stderr.write(`SKIPPED: faults of a keeper that starts: ${missing}\n`);
const exitSystem = 111;

/** -D: strace is the keeper's grandchild, so the keeper is our own child. */
function runUnderStrace(fault?: Fault): KeeperRun {
  return new KeeperRun({
    script: 'exec "$NODE" "$ROOT/dist/bin/supervisor.js" -c holdfast.toml',
    prefix: (mark) => ["strace", "-D", "-E", mark, ...straceArguments(fault), "-o", "trace", "--"],
  });
}

describe.skipIf(missing !== undefined)("a keeper that starts while a system call fails", () => {
  test("says what failed and ends, or has a supervisor all the same", { timeout: 600_000 }, async () => {
    const scout = runUnderStrace();
    await scout.supervisor();
    const faults = faultsOf(parseTrace(readFileSync(join(scout.directory, "trace"), "utf8")));
    const chosen = faults.filter(({ call, when }, index) => index % every === seed % every || isSetUp(call, when));
    for (const fault of chosen) {
      const run = runUnderStrace(fault);
      const said = `${fault.call}:${fault.error}:${fault.when}`;
      const supervisor = run.supervisor();
      supervisor.catch(() => {}); // It is looked at only where the keeper has not ended.
      const end = await Promise.race([run.exit, supervisor.then(() => undefined)]);
      if (end !== undefined) {
        expect(end, `${said}: ${run.output}`).toEqual({ code: exitSystem, signal: null });
        expect(run.output, said).toMatch(/holdfast-keeper: \S+: \S+/);
      }
      await run.end();
    }
    process.stdout.write(
      `HOLDFAST_SEED=${seed} HOLDFAST_FAULTS_EVERY=${every}; ${chosen.length} of ${faults.length}\n`,
    );
  });
});

/** Calls that are made once, before there is a supervisor. */
function isSetUp(call: string, when: number): boolean {
  return when === 1 && ["epoll_create1", "signalfd4", "prctl", "socketpair", "clone"].includes(call);
}
