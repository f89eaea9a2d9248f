import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type OwnedFd, openPidfd } from "../../../src/ancillary/index.js";
import { speaksFor } from "../../../src/daemon/runtime/notify-sender.js";

const worker = { pid: 999_999_999, session: 999_999_998, uid: 64_123, mark: "INVOCATION_ID=none" };
let ended: OwnedFd;

beforeEach(async () => {
  const program = spawn("/bin/sleep", ["1000"]);
  await once(program, "spawn");
  ended = openPidfd(program.pid!);
  const exit = once(program, "exit");
  program.kill("SIGKILL");
  await exit;
});
afterEach(() => ended.close());

describe("a sender that has ended", () => {
  // Its number is ours by now: whoever is looked at has nothing to do with it.
  test.each([
    [64_123, true],
    [0, true],
    [64_124, false],
  ])("and ran as uid %d, of a worker of uid 64123, is believed: %s", (uid, believed) => {
    expect(speaksFor({ pid: process.pid, uid, pidfd: ended.borrow() }, worker)).toBe(believed);
  });

  test("is not mistaken for whoever has its number now", () => {
    const stranger = { ...worker, session: worker.session, pid: process.pid };
    expect(speaksFor({ pid: process.pid, uid: 64_124, pidfd: ended.borrow() }, stranger)).toBe(false);
  });
});

describe("the main process itself", () => {
  test("is believed after its end, whoever it ran as: it may have dropped root before", () => {
    const own = { ...worker, pid: 4_711, process: ended.identity().ino };
    expect(speaksFor({ pid: 4_711, uid: 64_124, pidfd: ended.borrow() }, own)).toBe(true);
    // As kernels before 6.16 say it of one that was reaped.
    expect(speaksFor({ pid: 4_711, uid: 64_124 }, own)).toBe(true);
  });

  test.runIf(namesOneProcess())("is not whoever has its number now", () => {
    using stranger = openPidfd(process.pid);
    const own = { ...worker, pid: process.pid, process: ended.identity().ino };
    expect(speaksFor({ pid: own.pid, uid: 0, pidfd: stranger.borrow() }, own)).toBe(false);
  });
});

/** Each process has a pidfd inode of its own since Linux 6.9. */
function namesOneProcess(): boolean {
  using own = openPidfd(process.pid);
  using parent = openPidfd(process.ppid);
  return own.identity().ino !== parent.identity().ino;
}

describe("a sender that lives", () => {
  test("is judged by what it is", () => {
    using own = openPidfd(process.pid);
    expect(speaksFor({ pid: process.pid, uid: 0, pidfd: own.borrow() }, worker)).toBe(false);
    expect(speaksFor({ pid: process.pid, uid: 5, pidfd: own.borrow() }, { ...worker, pid: process.ppid })).toBe(true);
  });

  // As the keeper's child that shows no mark, and one that shows another's.
  test.each([
    [64_123, "none", true],
    [0, "none", true],
    [64_124, "none", false],
    [64_123, "another", false],
  ])("and is an orphan of uid %d that shows %s is believed: %s", async (uid, shows, believed) => {
    const env = shows === "none" ? {} : { INVOCATION_ID: shows };
    const orphan = spawn("/bin/sleep", ["1000"], { env });
    await once(orphan, "spawn");
    const exit = once(orphan, "exit");
    try {
      expect(speaksFor({ pid: orphan.pid!, uid }, { ...worker, keeper: process.pid })).toBe(believed);
      expect(speaksFor({ pid: orphan.pid!, uid }, worker)).toBe(false);
    } finally {
      orphan.kill("SIGKILL");
      await exit;
    }
  });
});
