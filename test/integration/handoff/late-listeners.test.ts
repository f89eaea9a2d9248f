import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { HandoffScene } from "./scene.js";

let scene: HandoffScene;
beforeEach(() => {
  scene = new HandoffScene();
});
afterEach(() => scene.end());

describe("a worker that retires", () => {
  test("waits for listeners that come while others finish, and while connections end", async () => {
    const worker = scene.start("finishes-late.mjs", { channel: false });
    const port = await until("it listens", () => /port (\d+)/.exec(worker.output)?.[1]);
    const client = connect(Number(port), "127.0.0.1");
    client.write("hello");
    await once(client, "data");
    worker.kill("SIGTERM");
    for (const name of ["first", "second", "third"]) {
      await until(`the ${name} one has finished`, () => worker.output.includes(`${name} has finished`));
    }
    expect(worker.child.exitCode).toBe(null);
    client.end();
    expect(await worker.ended).toBe(0);
    await until("the last one has finished, too", () => worker.output.includes("last has finished"));
  });
});
