import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KeptAliveClients } from "./clients.js";
import { HandoffScene } from "./scene.js";

const program = "handoff-http.mjs";
let scene: HandoffScene;
beforeEach(() => {
  scene = new HandoffScene();
});
afterEach(() => scene.end());

describe("kept-alive connections under load", () => {
  test("survive ten generations: none is closed, and no request fails", { timeout: 60_000 }, async () => {
    const port = scene.listen("web");
    let worker = await scene.startReady(program);
    const first = worker;
    const clients = new KeptAliveClients(port, 32);
    await clients.connected;
    // Connected is not accepted: what is still in the queue would be its successor's from the start.
    await Promise.all(clients.clients.map((each) => each.get("/")));
    clients.start({ perSecond: 500, slowEvery: 20 });
    for (let generation = 0; generation < 10; generation += 1) worker = await scene.replace(worker, program);
    const result = await clients.stop();
    expect(result).toMatchObject({ failed: [], closed: 0 });
    expect(result.answered).toBeGreaterThan(500);
    expect(result.pids.size).toBe(11);
    expect(scene.drops).toEqual([]);
    expect(await scene.countsOf(first)).toMatchObject({ left: 32, taken: 32, kept: 0, lost: 0 });
  });
});
