import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { startLoad } from "../../../bench/load.mjs";
import { type Scene, scenes } from "../scene.js";
import { buildKeeper } from "./keeper-build.js";
import {
  everything,
  inventory,
  keeperOf,
  programOf,
  startsLater,
  trialOf,
  view,
  waits,
} from "./scene-of-everything.js";

const { start } = scenes();

describe("a program that cannot take over", () => {
  const script = (scene: Scene, name: string, text: string): string => {
    const path = join(scene.directory, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  };
  const candidates: readonly { what: string; path: (scene: Scene) => string; says: string }[] = [
    {
      what: "nothing",
      path: () => "/nowhere",
      says: "/nowhere cannot be executed: no such file or directory (ENOENT)",
    },
    { what: "a folder", path: (scene) => scene.directory, says: "cannot be executed: permission denied (EACCES)" },
    {
      what: "/bin/true",
      path: () => "/bin/true",
      says: "ended with exit code 0, without a proof that it can take over",
    },
    { what: "/bin/false", path: () => "/bin/false", says: "ended with exit code 1, without a proof" },
    {
      what: "one that hangs",
      path: (scene) => script(scene, "hangs", "sleep 1000"),
      says: "has not proved within 5 s",
    },
    {
      what: "one that crashes",
      path: (scene) => script(scene, "crashes", "kill -SEGV $$"),
      says: "killed by SIGSEGV before it",
    },
    {
      what: "a keeper of another state",
      path: (scene) => buildKeeper(scene, { flags: ["-DSTATE_VERSION=99"] }),
      says: "reads version 99 of the keeper's state, and this keeper writes another one",
    },
    {
      what: "a keeper that fails when it is too late",
      path: (scene) =>
        buildKeeper(scene, {
          takeover: ["-Dsignals_open=refuses"],
          more: "struct keeper; int refuses(struct keeper *k) { (void)k; return 5; }",
        }),
      says: "was executed, could not go on (i/o error (EIO)), and the program of before took everything back",
    },
  ];

  test("is refused in words, and nothing has changed", { timeout: 180_000 }, async () => {
    const { scene, port } = await everything(start);
    const before = { ...(await inventory(scene)), program: programOf(keeperOf(scene)) };
    // Compiled before there is load: nothing of this process goes on meanwhile.
    const paths = candidates.map(({ path }) => path(scene));
    const load = startLoad({ target: { host: "127.0.0.1", port }, rate: 100 });
    for (const [index, { what, says }] of candidates.entries()) {
      const { code, stdout, stderr } = await scene.holdfast.cli("self", "reexec", "--to", paths[index]!);
      expect({ code, stdout }, what).toEqual({ code: 1, stdout: "" });
      expect(stderr, what).toContain("failed: the keeper was not re-executed, and nothing has changed: ");
      expect(stderr, what).toContain(says);
      const now = { ...(await inventory(scene)), program: programOf(keeperOf(scene)) };
      expect(now, what).toEqual(before);
    }
    expect(await load.stop()).toMatchObject({ failed: 0 });
    expect((await view(scene)).keeper.reExecs).toBe(0);
    expect(scene.events.filter(({ type }) => type === "keeper-re-exec-refused")).toHaveLength(candidates.length);
    expect(await scene.holdfast.reExec()).toMatchObject({ result: "done", reExecs: 1 });
    await startsLater(scene);
  });

  test("is tried alone", { timeout: 120_000 }, async () => {
    const { scene } = await everything(start);
    const gate = join(scene.directory, "gate");
    const first = scene.holdfast.reExec(waits(scene));
    await until("the trial", () => trialOf(keeperOf(scene)) !== undefined);
    expect(await scene.holdfast.reExec()).toMatchObject({
      result: "failed",
      message: expect.stringContaining("another re-exec is under way"),
    });
    writeFileSync(gate, "");
    expect(await first).toMatchObject({ result: "done", reExecs: 1 });
  });
});
