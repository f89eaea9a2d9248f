import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, test } from "vitest";
import { readStat } from "../../../../src/daemon/runtime/process-stat.js";
import type { KeeperProcess } from "../../../../src/daemon/runtime/succession/start-keeper.js";
import { findStarted } from "../../../../src/daemon/runtime/succession/started-unheard.js";

/** A keeper that nothing looks like. */
const keeper = { pid: 1, program: "/nowhere/keeper", argv: ["keeper"] } as unknown as KeeperProcess;
const running: ChildProcess[] = [];

afterEach(async () => {
  for (const child of running.splice(0)) {
    const ended = once(child, "exit");
    process.kill(-child.pid!, "SIGKILL");
    await ended;
  }
});

/** A process with that mark and a child of it, in a session of their own. */
async function start(invocation: string): Promise<number> {
  const child = spawn("/bin/sh", ["-c", "sleep 1000 & echo; wait"], {
    detached: true,
    env: { INVOCATION_ID: invocation, PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "inherit"],
  });
  running.push(child);
  await once(createInterface({ input: child.stdout! }), "line");
  return child.pid!;
}

describe("a start that the keeper could not tell of", () => {
  test("is found by its mark, as the process that leads its session", async () => {
    const [known, unknown] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
    const pid = await start(known);
    await start(unknown);
    const found = await findStarted((invocation) => [known, "never started"].includes(invocation), keeper);
    expect([...found]).toEqual([[known, { pid, startTicks: readStat(pid)!.startTicks }]]);
  });
});
