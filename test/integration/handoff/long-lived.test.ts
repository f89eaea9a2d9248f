import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LineClients } from "./line-clients.js";
import { HandoffScene } from "./scene.js";

const program = "handoff-lines.mjs";
let scene: HandoffScene;
beforeEach(() => {
  scene = new HandoffScene();
});
afterEach(() => scene.end());

describe("long-lived connections", () => {
  test("go from generation to generation in the middle of a line: none is closed, no byte is lost", {
    timeout: 60_000,
  }, async () => {
    const port = scene.listen("lines");
    let worker = await scene.startReady(program);
    const clients = new LineClients(port, 250);
    await clients.connected;
    clients.start();
    for (let generation = 0; generation < 4; generation += 1) {
      const predecessor = worker;
      worker = await scene.replace(worker, program);
      expect(await scene.countsOf(predecessor)).toMatchObject({ left: 250, taken: 250, kept: 0, lost: 0 });
    }
    const result = await clients.stop();
    expect(result).toMatchObject({ faults: [], closed: 0 });
    expect(result.answered).toBeGreaterThan(1000);
    expect(new Set(clients.clients.map(({ pids }) => pids.has(worker.pid)))).toEqual(new Set([true]));
    expect(scene.drops).toEqual([]);
  });
});
