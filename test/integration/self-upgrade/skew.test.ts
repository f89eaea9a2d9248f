import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { command } from "../fixture.js";
import { type Scene, scenes } from "../scene.js";
import { buildKeeper } from "../self-reexec/keeper-build.js";
import { everything, inventory, startsLater, view } from "../self-reexec/scene-of-everything.js";
import { type Changes, installation } from "./installation.js";

const { start } = scenes();
const root = join(import.meta.dirname, "../../..");

async function upgrade(scene: Scene, directory: string): Promise<void> {
  const { id, ...answer } = await scene.holdfast.post("/v1/supervisor/upgrade", { directory, timeoutMs: 60_000 });
  expect(answer).toMatchObject({ result: "willing" });
  const done = async () => (await scene.holdfast.answers()).upgrade?.id === id;
  await until(`an upgrade to ${directory}`, done, { timeoutMs: 20_000 });
  expect((await view(scene)).upgrade).toMatchObject({ result: "done" });
}

describe("a keeper of the next protocol", () => {
  let keeper = "";
  beforeAll(() => {
    const directory = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-skew-")));
    keeper = buildKeeper({ directory } as Scene, { flags: ["-DPROTOCOL_VERSION=2"] });
    return () => rmSync(directory, { recursive: true });
  }, 120_000);

  test("and this supervisor end with a sentence", { timeout: 60_000 }, async () => {
    const started = start({ config: "", env: { HOLDFAST_KEEPER_PATH: keeper } });
    const says =
      /ended with 76:[\s\S]*this supervisor cannot be in charge: the keeper \(pid \d+\) does not speak version 1 of the protocol/;
    await expect(started).rejects.toThrow(says);
  });

  test("is no successor of a keeper whose supervisor speaks this one", { timeout: 60_000 }, async () => {
    const { scene } = await everything(start);
    const before = await inventory(scene);
    expect(await scene.holdfast.reExec(keeper)).toMatchObject({
      result: "failed",
      message: expect.stringContaining("speaks another version of the keeper's protocol than this supervisor"),
    });
    expect(await inventory(scene)).toEqual(before);

    // And a supervisor that knows no feature of this protocol is in charge all the same, and says what it cannot.
    const asks = /\.u32\(Feature\.reExec \| Feature\.handOver \| Feature\.accept\)/;
    await upgrade(scene, installation(scene, { changes: { "runtime/keeper/keeper-client.js": [[asks, ".u32(0)"]] } }));
    expect((await inventory(scene)).workers).toEqual(before.workers);
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    await startsLater(scene);
    expect(await scene.holdfast.reExec()).toMatchObject({
      result: "failed",
      message: expect.stringContaining("was built before it could"),
    });
    await upgrade(scene, root);
    expect(await scene.holdfast.reExec()).toMatchObject({ result: "done" });
  });
});

describe("what a later version has written into its tags", () => {
  const mark = 'const mark = (it) => ({ ...it, later: "kept" });';
  const writes: Changes = {
    "runtime/service-store.js": [
      [
        "function encode(state) {",
        `${mark}
        function encode(it) {
          const instances = it.instances.map((each) => mark(each.current ? { ...each, current: mark(each.current) } : each));
          const state = mark({ ...it, instances });`,
      ],
      ["return Buffer.from(JSON.stringify(tag));", 'return Buffer.from(JSON.stringify({ ...tag, later: "kept" }));'],
    ],
  };
  /** Crashes unless all of it is there: of both services, and of the worker that this version has not started. */
  const wants: Changes = {
    "runtime/service-store.js": [
      [
        "return v === VERSION ? state : undefined;",
        `for (const it of [state, ...state.instances, ...(state.instances.length === 1 ? state.instances.flatMap(({ current }) => current ?? []) : [])])
          if (it.later !== "kept") process.exit(44);
        return state;`,
      ],
      [
        "return parsed.v === VERSION ? parsed : undefined;",
        'if (parsed.service === "speaks" && parsed.later !== "kept") process.exit(45); return parsed;',
      ],
    ],
  };

  test("is there again when it comes back, after this one has written them anew", { timeout: 90_000 }, async () => {
    const scene = await start({
      config: `
        [service.speaks]
        ${command("reloads", "well")}
        ready = "notify"
        reload = { signal = "SIGHUP" }
        [service.stays]
        command = ["/bin/sleep", "1000"]
        workers = 2`,
    });
    await scene.ready("speaks");
    await scene.ready("stays");
    await upgrade(scene, installation(scene, { changes: writes }));
    // Everything is started by the later one, so all of it has its fields.
    for (const service of ["speaks", "stays"]) expect(await scene.restart(service)).toMatchObject({ result: "done" });
    await upgrade(scene, root);
    // Its STATUS changes the tag of the worker, and the death of the other one the state.
    expect(await scene.act("speaks", "reload")).toMatchObject({ result: "done" });
    const [victim] = await scene.holdfast.workerPids("stays");
    process.kill(victim!, "SIGKILL");
    await until("another worker", async () => {
      const { workers } = await scene.service("stays");
      return workers.length === 2 && workers.every(({ pid, phase }) => pid !== victim && phase === "ready");
    });
    expect(await scene.restart("stays")).toMatchObject({ result: "done" });
    await upgrade(scene, installation(scene, { version: "9.1.0", changes: wants }));
    expect(await view(scene)).toMatchObject({ version: "9.1.0" });
  });
});
