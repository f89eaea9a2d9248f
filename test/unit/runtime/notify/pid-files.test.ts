import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { WorkerState } from "../../../../src/daemon/lifecycle/worker.js";
import type { ChildRecord } from "../../../../src/daemon/runtime/keeper/records.js";
import { PidFiles } from "../../../../src/daemon/runtime/notify/pid-files.js";

const WORKER = 7;
let folder: string;
let phase: WorkerState["phase"];
let treeIsEmpty: boolean;
let refusal: string | undefined;
let followed: number[];
let ended: number[];
let remark: string | undefined;
let files: PidFiles;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-pid-file-"));
  phase = "warming";
  treeIsEmpty = false;
  refusal = undefined;
  followed = [];
  ended = [];
  remark = undefined;
  files = new PidFiles({
    path: () => join(folder, "pid"),
    phase: () => phase,
    treeIsEmpty: () => treeIsEmpty,
    follow: async (_, pid) => {
      followed.push(pid);
      return refusal;
    },
    remark: (_, words) => {
      remark = words?.replace(folder, "");
    },
    ended: (_, { pid }) => ended.push(pid),
  });
});
afterEach(() => {
  files.close();
  rmSync(folder, { recursive: true });
});

const write = (text: string) => writeFileSync(join(folder, "pid"), text);
const exited = (status = 0, pid = 10) => ({ pid, state: "exited", status }) as ChildRecord;

describe("the end of a process of a service with a pid file", () => {
  test("waits, while its worker starts, until the file names another one", async () => {
    expect(files.holds(WORKER, exited())).toBe(true);
    await expect.poll(() => remark).toBe("pid_file /pid was not written");
    write("10\n");
    expect(files.holds(WORKER, exited())).toBe(true);
    await expect.poll(() => remark).toBe("pid_file /pid names the process that was started (pid 10), which has ended");
    write(" 20 \n");
    await expect.poll(() => followed).toEqual([20]);
    await expect.poll(() => files.holds(WORKER, exited(1))).toBe(false);
    expect(ended).toEqual([]);
  });

  test.each<[string, () => void]>([
    [
      "its worker is not to become ready any more",
      () => {
        phase = "killing";
      },
    ],
    [
      "nothing is left of its tree",
      () => {
        treeIsEmpty = true;
      },
    ],
  ])("is told once %s", async (_, happens) => {
    write("no number");
    expect(files.holds(WORKER, exited())).toBe(true);
    happens();
    await expect.poll(() => ended).toEqual([10]);
    expect(remark).toBe("pid_file /pid holds no number of a process");
    expect(followed).toEqual([]);
  });

  test("is told where the one that the file names is not to be had, and nothing else comes", async () => {
    write("20");
    refusal = "is not of its tree";
    expect(files.holds(WORKER, exited())).toBe(true);
    await expect.poll(() => followed.length).toBeGreaterThan(1);
    expect(remark).toBe("pid_file /pid names the process 20, which is not of its tree");
    treeIsEmpty = true;
    await expect.poll(() => ended).toEqual([10]);
  });

  test("is looked at once where its worker is ready", async () => {
    phase = "ready";
    expect(files.holds(WORKER, exited(9))).toBe(true);
    await expect.poll(() => ended).toEqual([10]);
    write("20");
    expect(files.holds(WORKER, exited(9))).toBe(true);
    await expect.poll(() => followed).toEqual([20]);
    expect(ended).toEqual([10]);
  });

  test("is the worker's at once where it was asked for, or its first process failed", () => {
    write("20");
    expect(files.holds(WORKER, exited(1 << 8))).toBe(false);
    phase = "stopping";
    expect(files.holds(WORKER, exited())).toBe(false);
    expect(followed).toEqual([]);
  });
});
