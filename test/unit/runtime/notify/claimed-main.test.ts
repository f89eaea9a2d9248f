import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { memfd, type OwnedFd, openPidfd } from "../../../../src/ancillary/index.js";
import { claimMain, type MainClaim } from "../../../../src/daemon/runtime/notify/claimed-main.js";
import { readStat } from "../../../../src/daemon/runtime/process-stat.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";

let before: Map<number, string>;
let program: ReturnType<typeof spawn>;

beforeEach(async () => {
  program = spawn("/bin/sleep", ["1000"], { env: {} });
  await once(program, "spawn");
  before = openDescriptors();
});
afterEach(async () => {
  expect(newDescriptors(before)).toEqual([]);
  if (program.exitCode !== null || program.signalCode !== null) return;
  const ended = once(program, "exit");
  program.kill("SIGKILL");
  await ended;
});

/** What `claimMain` says of the program, for a worker that it descends from (`pid`: or from that one). */
function claim(what: MainClaim, more: { fds?: OwnedFd[]; pid?: number; byRoot?: boolean; others?: number[] } = {}) {
  const { fds = [], pid = process.pid, byRoot = false, others = [] } = more;
  const worker = { pid, session: pid, uid: 0, mark: "INVOCATION_ID=none" };
  const claimed = claimMain(what, { fds, worker, byRoot, others: new Set(others) });
  for (const fd of fds) fd.close();
  if (typeof claimed === "string") return claimed;
  claimed.pidfd.close();
  return { pid: claimed.pid, startTicks: claimed.startTicks };
}

const inodeOf = (pid: number): bigint => {
  using pidfd = openPidfd(pid);
  return pidfd.identity().ino;
};

describe("the main process that a worker names", () => {
  const itself = () => ({ pid: program.pid!, startTicks: readStat(program.pid!)!.startTicks });

  test("may be of its tree, by number, by number and inode, or by pidfd", () => {
    const pid = program.pid!;
    expect(claim({ pid })).toEqual(itself());
    expect(claim({ pid, inode: inodeOf(pid) })).toEqual(itself());
    expect(claim("descriptor", { fds: [openPidfd(pid)] })).toEqual(itself());
  });

  test("may be any if root says so, but nobody else's", () => {
    const pid = program.pid!;
    expect(claim({ pid }, { pid: 999_999_999 })).toBe("is not of its tree");
    expect(claim({ pid }, { pid: 999_999_999, byRoot: true })).toEqual(itself());
    expect(claim({ pid }, { byRoot: true, others: [pid] })).toBe("is none of its own");
    expect(claim({ pid: 1 }, { byRoot: true })).toBe("is none of its own");
  });

  test("is held to what names it", () => {
    const pid = program.pid!;
    expect(claim({ pid, inode: inodeOf(pid) + 1n })).toBe("is another one than MAINPIDFDID says");
    expect(claim("descriptor")).toBe("is to be the pidfd of a message with 0 descriptors");
    expect(claim("descriptor", { fds: [openPidfd(pid), openPidfd(pid)] })).toMatch(/with 2 descriptors$/);
    expect(claim("descriptor", { fds: [memfd("no-pidfd", Buffer.alloc(0))] })).toMatch(/that is no pidfd$/);
  });

  test("must be alive", async () => {
    const pid = program.pid!;
    const pidfd = openPidfd(pid);
    const ended = once(program, "exit");
    program.kill("SIGKILL");
    await ended;
    expect(claim("descriptor", { fds: [pidfd] })).toBe("has ended");
    expect(claim({ pid }, { byRoot: true })).toBe("has ended");
  });
});
