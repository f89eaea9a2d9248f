import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { KeeperError } from "../../../../src/daemon/runtime/keeper/keeper-error.js";
import type { UpgradeOutcome } from "../../../../src/daemon/runtime/keeper/upgrade.js";
import { installationIn } from "../../../../src/daemon/runtime/upgrade/installation.js";
import { SupervisorUpgrade, type UpgradeInput } from "../../../../src/daemon/runtime/upgrade/supervisor-upgrade.js";
import { encodeUpgradeNote, outcomeOf, upgradeNoteIn } from "../../../../src/daemon/runtime/upgrade/upgrade-note.js";

const root = join(import.meta.dirname, "../../../..");
const program = join(root, "dist/bin/supervisor.js");
const ESRCH = 3;
const EBUSY = 16;
const EPROTO = 71;
const ESHUTDOWN = 108;

function upgradeWith(answer: UpgradeOutcome | Error, o: Partial<UpgradeInput> = {}, ceding?: Error) {
  const done: unknown[] = [];
  const keeper: UpgradeInput["keeper"] = {
    upgrade: async (argv, withinMs) => {
      done.push([...argv, withinMs]);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    dismiss: async () => void done.push("dismiss"),
    hold: async (key) => void done.push(`hold ${key}`),
    cede: async () => {
      done.push("cede");
      if (ceding !== undefined) throw ceding;
    },
  };
  const upgrade = new SupervisorUpgrade({
    keeper,
    clock: { monotonic: () => 17 },
    version: "0.1.0",
    argv: ["/node", "--flag", "/here/dist/bin/supervisor.js", "-c", "x"],
    program: 2,
    donor: { contend: () => void done.push("contend"), withdraw: () => void done.push("withdraw") },
    obstacle: () => undefined,
    refuseCommands: async () => void done.push("refuse"),
    stop: async () => void done.push("stop"),
    ceded: (problem) => void done.push(problem ?? "ceded"),
    ...o,
  });
  return { upgrade, done };
}

const willing: UpgradeOutcome = { result: "willing", detail: 0, words: "" };

describe("an upgrade", () => {
  test("starts the other version with the words of this one, and cedes when it is told to", async () => {
    const { upgrade, done } = upgradeWith(willing);
    expect(await upgrade.try(root, 500)).toMatchObject({
      result: "willing",
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(done).toEqual([["/node", "--flag", program, "-c", "x", 500]]);
    expect(upgrade.isUnderWay).toBe(true);
    await upgrade.cede();
    expect(done.slice(1)).toEqual(["refuse", "stop", "contend", "hold upgrade", "cede", "withdraw", "ceded"]);
  });

  test("takes the version that lies where this one does, unless told", async () => {
    const { upgrade } = upgradeWith(willing);
    expect((await upgrade.try(undefined, 500)).message).toContain("/here is no installation of holdfast: ");
  });

  test("gives way to a stop that is asked for in the last moment", async () => {
    let obstacle: string | undefined;
    const { upgrade, done } = upgradeWith(willing, { obstacle: () => obstacle });
    await upgrade.try(root, 500);
    obstacle = "holdfast is stopping everything";
    await upgrade.cede();
    expect(done.slice(1)).toEqual(["refuse", "dismiss"]);
    expect(upgrade.isUnderWay).toBe(false);
  });

  test("gives way to what began while the other version was tried", async () => {
    let asked = 0;
    const { upgrade, done } = upgradeWith(willing, {
      obstacle: () => (asked++ === 0 ? undefined : "an apply is under way"),
    });
    expect(await upgrade.try(root, 500)).toMatchObject({ result: "failed" });
    expect(done.slice(1)).toEqual(["dismiss"]);
    await upgrade.cede();
    expect(done).toHaveLength(2);
  });

  test("says how it ended if the other version is gone by then", async () => {
    const { upgrade, done } = upgradeWith(willing, {}, new KeeperError("cede", ESRCH, 0));
    await upgrade.try(root, 500);
    await upgrade.cede();
    expect(done.at(-1)).toContain("cede");
  });

  // What failed, where, why, and what to do.
  test.each<[UpgradeOutcome["result"], number, string]>([
    ["not-executed", 2, "cannot be executed for "],
    [
      "exited",
      1,
      "ended with exit code 1 before it said that it would take over; why stands in holdfast's stderr. Mend",
    ],
    ["killed", 11, "killed by SIGSEGV before it said that it would take over; look whether"],
    ["timed-out", 1500, "has not said within 1.5 s that it would take over; it was killed. Where"],
    ["unwilling", 0, "would not leave everything as it is: it would end web/1. Upgrade to"],
    ["other-protocol", 2, "speaks version 2 of the keeper's protocol, and the keeper another one; bring"],
    ["cannot-look", 0, "is of a version that wants to be in charge at once and cannot be tried; end"],
    [undefined, 0, "was refused for a reason that this supervisor is too old to know"],
  ])("that is refused (%s, %i) says so", async (result, detail, says) => {
    const { upgrade } = upgradeWith({ result, detail, words: "it would end web/1" });
    const view = await upgrade.try(root, 500);
    expect(view).toMatchObject({ result: "failed", message: expect.stringContaining(says) });
    expect(view.message).toContain(`the one that runs (pid ${process.pid}) stays in charge: `);
    expect(upgrade.isUnderWay).toBe(false);
  });

  test.each([
    [EBUSY, "an upgrade or a re-exec is under way"],
    [ESHUTDOWN, "holdfast is stopping everything"],
    [12, "the keeper could not start it: not enough memory (ENOMEM)"],
  ])("that the keeper refuses (%i) says so", async (errno, says) => {
    const { upgrade } = upgradeWith(new KeeperError("upgrade", errno, 0));
    expect((await upgrade.try(root, 500)).message).toContain(says);
  });

  test("needs a keeper that knows of it", async () => {
    const { upgrade } = upgradeWith(new KeeperError("upgrade", EPROTO, 0));
    expect((await upgrade.try(root, 500)).message).toContain("was built before it could try another supervisor");
  });
});

describe("an installation", () => {
  const folder = (text: string): string => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-installation-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    writeFileSync(join(directory, "package.json"), text);
    return directory;
  };

  test("is where package.json and dist are", () => {
    expect(installationIn(root)).toEqual({ version: expect.stringMatching(/^\d/), program });
  });

  test.each([
    [
      "that is another package",
      '{"name":"fastify","version":"1.0.0"}',
      "has the package fastify, which is not holdfast",
    ],
    [
      "without a supervisor",
      '{"name":"holdfast","version":"2.0.0"}',
      "dist/bin/supervisor.js is missing or cannot be read; holdfast 2.0.0",
    ],
    [
      "for a later Node.js",
      '{"name":"holdfast","version":"2.0.0","engines":{"node":">=22.10"}}',
      "needs Node.js 22.10 or later, and this supervisor runs with 22.9.1",
    ],
    [
      "for this Node.js",
      '{"name":"holdfast","version":"2.0.0","engines":{"node":">=22.9"}}',
      "supervisor.js is missing",
    ],
    ["that cannot be read", "{", "is no installation of holdfast: "],
  ])("%s is refused", (_, text, says) => {
    expect(() => installationIn(folder(text), "22.9.1")).toThrow(says);
  });
});

describe("the note of an upgrade", () => {
  const note = {
    v: 1,
    id: "1",
    at: new Date(0).toISOString(),
    from: "0.1.0",
    to: "0.2.0",
    program: "/new/main.js",
    stoppedAt: 1000,
  } as const;

  test("is found again", () => {
    const held = { key: "upgrade", tag: encodeUpgradeNote(note), descriptors: 0 };
    expect(upgradeNoteIn([held])).toEqual(note);
    expect(upgradeNoteIn([{ ...held, tag: Buffer.from('{"v":2}') }])).toBeUndefined();
    expect(upgradeNoteIn([])).toBeUndefined();
  });

  test("is told by the new program as done, with the pause", () => {
    const outcome = outcomeOf(note, { program: "/new/main.js", pid: 7, now: 1079.6, end: "exited with code 0" });
    expect(outcome).toEqual({
      result: "done",
      message:
        "the supervisor was upgraded from 0.1.0 to 0.2.0 (pid 7); for 80 ms no restart could be decided, sockets and workers are as before",
      pauseMs: 80,
    });
  });

  test("is told by the program of before as failed, with the end of the new one", () => {
    const outcome = outcomeOf(note, { program: "/old/main.js", pid: 7, now: 1500, end: "was killed by SIGSEGV" });
    expect(outcome).toMatchObject({ result: "failed", pauseMs: 500 });
    expect(outcome.message).toMatch(/^the supervisor was not upgraded: \/new\/main\.js .* \(was killed by SIGSEGV\)/);
  });
});
