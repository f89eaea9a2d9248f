import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { compileLibrary } from "./compiled.js";

const run = promisify(execFile);

async function runThreads(what: string): Promise<unknown> {
  const fixture = fileURLToPath(new URL("./fixtures/thread.mjs", import.meta.url));
  const { stdout } = await run(process.execPath, [fixture, await compileLibrary(), what]);
  return JSON.parse(stdout);
}

describe("an object of another thread", () => {
  test("is refused by every function, and goes on working in its own", async () => {
    expect(await runThreads("clone")).toEqual({
      send: "TypeError",
      fds: "TypeError",
      borrowed: "TypeError",
      stream: "TypeError",
      ancillary: "TypeError",
      method: "TypeError",
      watcher: "TypeError",
      arrived: 1,
      left: 0,
    });
  });

  test("is moved as the number that release gives", async () => {
    expect(await runThreads("give")).toEqual({ isFile: true, left: 0 });
  });
});

describe("a worker thread that ends, by itself or terminated", () => {
  test("closes what it owned, what came and was not taken, and nothing else", async () => {
    // 2 sockets, 599 files, 1 unclaimed, 1 received, 2 sockets of the channel; the released file stays.
    expect(await runThreads("end")).toEqual([
      [605, 1],
      [605, 1],
    ]);
  });
});
