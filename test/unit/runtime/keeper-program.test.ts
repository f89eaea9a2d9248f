import { describe, expect, test } from "vitest";
import { KeeperError } from "../../../src/daemon/runtime/keeper/keeper-error.js";
import { decodeReExec, type ReExecOutcome } from "../../../src/daemon/runtime/keeper/re-exec.js";
import type { Hello } from "../../../src/daemon/runtime/keeper/records.js";
import { KeeperProgram } from "../../../src/daemon/runtime/keeper-program.js";

const EIO = 5;
const EBUSY = 16;
const ESHUTDOWN = 108;

const hello: Hello = {
  version: 1,
  keeperPid: 4711,
  keeperStartedAt: 1000,
  supervisors: 1,
  previousEnd: { how: "none", detail: 0 },
  dropped: 0,
  nofile: 1024n,
  reExecs: { count: 2, lastAt: 2000 },
};
const clock = { monotonic: () => 3000, wall: () => new Date(3000), wallAt: (at: number) => new Date(at) };

function program(answer: ReExecOutcome | Error, o: Partial<Hello> = {}) {
  const asked: string[] = [];
  const reExec = async (path: string) => {
    asked.push(path);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { asked, program: new KeeperProgram({ reExec }, clock, { ...hello, ...o }) };
}

describe("the program of the keeper", () => {
  test("shows when it was started and re-executed", () => {
    expect(program(new Error()).program.view()).toEqual({
      startedAt: "1970-01-01T00:00:01.000Z",
      reExecs: 2,
      reExecutedAt: "1970-01-01T00:00:02.000Z",
    });
  });

  test("counts a re-exec once it is done", async () => {
    const { asked, program: it } = program({ result: "done", detail: 0, count: 3 });
    expect(await it.reExec(undefined)).toMatchObject({ result: "done", reExecs: 3, durationMs: 0 });
    expect(it.view()).toMatchObject({ reExecs: 3, reExecutedAt: "1970-01-01T00:00:03.000Z" });
    expect(asked).toEqual([""]);
  });

  // What failed, where, and what to do.
  test.each<[ReExecOutcome["result"], number, string]>([
    ["not-executed", 2, "/new cannot be executed: no such file or directory (ENOENT); name a holdfast-keeper"],
    ["no-proof", 0, "/new was tried and ended with exit code 0, without a proof that it can take over: it is no hold"],
    ["killed", 11, "/new was tried and killed by SIGSEGV before it had proved"],
    ["timed-out", 5000, "/new was tried and has not proved within 5 s"],
    [
      "other-state",
      7,
      "/new reads version 7 of the keeper's state, and this keeper writes another one; only a new start",
    ],
    [
      "not-read",
      93,
      "/new speaks another version of the keeper's protocol than this supervisor; a version of holdfast that",
    ],
    ["not-read", 12, "/new was tried and cannot take the keeper's state: not enough memory (ENOMEM)"],
    ["not-passed", 24, "the keeper's state cannot be passed on: too many open files (EMFILE)"],
    ["not-passed", ESHUTDOWN, "holdfast has begun to stop everything meanwhile"],
    ["given-back", EIO, "/new was executed, could not go on (i/o error (EIO)), and the program of before took"],
    [undefined, 0, "/new was refused for a reason that this supervisor is too old to know"],
  ])("says why it stays what it is: %s %i", async (result, detail, words) => {
    const { program: it } = program({ result, detail, count: 2 });
    const view = await it.reExec("/new");
    expect(view).toMatchObject({ result: "failed", reExecs: 2 });
    expect(view.message).toContain(`the keeper was not re-executed, and nothing has changed: ${words}`);
  });

  test("says why the keeper refused to try", async () => {
    const refused = async (errno: number) =>
      (await program(new KeeperError("reExec", errno, 0)).program.reExec(undefined)).message;
    expect(await refused(EBUSY)).toContain("another re-exec is under way");
    expect(await refused(ESHUTDOWN)).toContain("holdfast is stopping everything");
    expect(await refused(EIO)).toContain("the keeper refused it: i/o error (EIO)");
  });

  test("is not asked where it was built before it could be re-executed", async () => {
    const { reExecs: _, ...old } = hello;
    const asked: string[] = [];
    const reExec = async (path: string): Promise<ReExecOutcome> => {
      asked.push(path);
      return { result: "done", detail: 0, count: 1 };
    };
    const it = new KeeperProgram({ reExec }, clock, old);
    expect((await it.reExec(undefined)).message).toContain("was built before it could be");
    expect(it.view()).toEqual({ startedAt: "1970-01-01T00:00:01.000Z", reExecs: 0 });
    expect(asked).toEqual([]);
  });

  test("is answered in bytes", () => {
    expect(decodeReExec(Buffer.from([5, 99, 0, 0, 0, 2, 0, 0, 0]))).toEqual({
      result: "other-state",
      detail: 99,
      count: 2,
    });
    expect(decodeReExec(Buffer.from([77, 0, 0, 0, 0, 2, 0, 0, 0])).result).toBeUndefined();
    expect(() => decodeReExec(Buffer.from([0, 0, 0]))).toThrow();
  });
});
