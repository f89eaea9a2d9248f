import { beforeEach, describe, expect, test } from "vitest";
import { type Command, CommandRuns } from "../../../../src/daemon/runtime/commands/command-runs.js";
import type { Keeper } from "../../../../src/daemon/runtime/keeper/keeper-client.js";
import type { ChildRecord } from "../../../../src/daemon/runtime/keeper/records.js";
import type { Logger } from "../../../../src/daemon/runtime/logger.js";
import { newDescriptors, openDescriptors } from "../../ancillary/census.js";
import { FilledTable } from "../../ancillary/filled-table.js";
import { plainService } from "../../lifecycle/service-config.js";

// With a keeper that starts something, on real processes: test/integration/probe.test.ts.

const command: Command = {
  service: plainService,
  purpose: "probe",
  argv: ["/bin/true"],
  env: {},
  timeoutMs: 60_000,
  signal: new AbortController().signal,
};

let asked: string[];
let runs: CommandRuns;

beforeEach(() => {
  asked = [];
  const keeper: Pick<Keeper, "spawn" | "signal" | "acknowledge"> = {
    spawn: async ({ key }) => void asked.push(`spawn ${key}`),
    signal: async (key, signal) => void asked.push(`signal ${key} ${signal}`),
    acknowledge: async (key) => void asked.push(`acknowledge ${key}`),
  };
  runs = new CommandRuns({
    keeper: keeper as Keeper,
    keeperPid: process.pid,
    supervisors: 3,
    log: { error: () => {} } as unknown as Logger,
    configFile: "/",
    environment: {},
    workers: () => new Set(),
  });
});

/** It was killed between fork and exec. */
const failed = { key: "command:web/probe/3.1", state: "failed", stage: 1, errno: 0, pid: 0 } as ChildRecord;

describe("a command that has not been executed yet", () => {
  test.each<[string, () => Promise<unknown>]>([
    ["is killed when it is not needed any more", () => runs.run({ ...command, signal: AbortSignal.abort() })],
    [
      "is killed when everything is stopped",
      () => {
        const running = runs.run(command);
        runs.close();
        return running;
      },
    ],
  ])("%s", async (_, begin) => {
    const before = openDescriptors();
    const running = begin();
    expect(asked).toEqual(["spawn command:web/probe/3.1", "signal command:web/probe/3.1 9"]);
    expect(runs.hear(failed, Buffer.alloc(0))).toBe(true);
    const problem = expect.stringMatching(/^was (not needed|cut short)/);
    await expect(running).resolves.toMatchObject({ problem, ran: false });
    expect(asked).toContain("acknowledge command:web/probe/3.1");
    expect(newDescriptors(before)).toEqual([]);
  });
});

describe("a command for which there are no descriptors", () => {
  test.each([0, 1, 2])("is a problem in words with %d of them left, and leaves none open", async (left) => {
    const before = openDescriptors();
    const table = new FilledTable();
    table.leaveFree(left);
    const { problem } = await runs.run(command);
    table.restore();
    expect(problem).toMatch(/^could not be started: .*(EMFILE|too many open files)/i);
    expect(newDescriptors(before)).toEqual([]);
    expect(asked).toEqual([]);
  });
});
