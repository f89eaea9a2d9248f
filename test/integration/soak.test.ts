import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { root } from "../../bench/lib/programs.mjs";

/** Runs `npm run soak` and resolves with how it ended. `interrupt`: SIGINT once it is in the middle. */
async function soak(minutes: string, interrupt = false): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [join(root, "bench/soak.mjs"), "--minutes", minutes], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stderr.on("data", (said: Buffer) => {
    if (interrupt && said.includes("of faults and commands")) child.kill("SIGINT");
  });
  const [[code], out, err] = await Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)]);
  return { code, out, err };
}

describe("the soak", () => {
  test("runs for a few seconds, prints its tables and ends with 0", { timeout: 300_000 }, async () => {
    const { code, out, err } = await soak("0.1");
    expect(code, out + err).toBe(0);
    expect(out).toMatch(/^seed \d+, 0.1 minutes$/m);
    expect(out).toMatch(/^\| web +\| \d+ +\| \d+/m);
    expect(out).toMatch(/^\| written by the workers +\| \d+ /m);
    expect(out).toMatch(/^\| keeper +\| \d+; \d+\.\d/m);
    expect(out).toMatch(/^\| no process is left +\| yes/m);
  });

  test("is ended early by SIGINT, with its tables", { timeout: 300_000 }, async () => {
    const { code, out, err } = await soak("1", true);
    expect(code, out + err).toBe(0);
    expect(out).toMatch(/^ended early$/m);
    expect(out).toMatch(/^\| each port is closed +\| yes/m);
  });
});
