import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { startLoad } from "../../../bench/load.mjs";
import { scenes } from "../scene.js";
import { everything, inventory, keeperOf, startsLater, view, words } from "../self-reexec/scene-of-everything.js";
import { installation } from "./installation.js";

const { start } = scenes();

describe("a supervisor that is upgraded under load", () => {
  test("leaves everything as it is, and is the program that is started from then on", { timeout: 90_000 }, async () => {
    const { scene, port } = await everything(start);
    const { supervisor: first, ...before } = await inventory(scene);
    const load = startLoad({ target: { host: "127.0.0.1", port }, rate: 200 });
    const directory = installation(scene);
    const program = join(directory, "dist/bin/supervisor.js");

    const said = await scene.holdfast.run("self", "upgrade", "--to", directory);
    expect(said).toMatch(
      /^the supervisor was upgraded from 0\.\d+\.\d+ to 9\.0\.0 \(pid \d+\); for \d+ ms no restart could be/,
    );
    const { supervisor: second, ...after } = await inventory(scene);
    expect(second).not.toBe(first);
    expect({ ...after, sockets: [] }).toEqual({ ...before, sockets: [] });
    // All but one: the channel to the supervisor.
    expect(before.sockets.filter((socket) => !after.sockets.includes(socket))).toHaveLength(1);
    expect(await view(scene)).toMatchObject({ pid: second, version: "9.0.0", starts: 2, upgrade: { result: "done" } });
    expect(words(second)).toContain(program);

    // After a crash,
    process.kill(second, "SIGKILL");
    await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== second);
    expect(await view(scene)).toMatchObject({ version: "9.0.0", starts: 3, previousEnd: "was killed by SIGKILL" });
    // a re-exec of the keeper,
    expect(await scene.holdfast.reExec()).toMatchObject({ result: "done" });
    expect(words(keeperOf(scene))).toContain(program);
    const third = await scene.supervisorPid();
    process.kill(third, "SIGKILL");
    await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== third);
    expect(await view(scene)).toMatchObject({ version: "9.0.0", starts: 4 });
    // and the death of the keeper.
    await scene.holdfast.killKeeper();
    expect(await view(scene)).toMatchObject({ version: "9.0.0", starts: 5, keeperDeaths: 1 });
    expect(await scene.holdfast.run("self", "status")).toMatch(/^last upgrade +the supervisor was upgraded from/m);

    expect(await inventory(scene)).toMatchObject({ workers: before.workers });
    await startsLater(scene);
    await scene.restart("web");
    expect(await load.stop()).toMatchObject({ failed: 0 });
  });
});
