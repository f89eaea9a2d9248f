import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { root } from "../../unit/docs/fences.js";
import { LineClients } from "./line-clients.js";
import { HandoffScene } from "./scene.js";

const node = join(root, "docs/examples/handoff/worker.mjs");
const python = join(root, "docs/examples/handoff/worker.py");

let scene: HandoffScene;
beforeEach(() => {
  scene = new HandoffScene();
});
afterEach(() => scene.end());

describe("long-lived connections", () => {
  test.each([
    ["of Node", [node, node, node, node]],
    ["of Python", [python, python, python, python]],
    ["of both", [node, python, node, python]],
  ])(
    "%s go from generation to generation in the middle of a line: none is closed, no byte is lost",
    {
      timeout: 60_000,
    },
    async (_, programs) => {
      const port = scene.listen("lines");
      let worker = await scene.startReady(programs[0]!);
      const clients = new LineClients(port, 250);
      await clients.connected;
      clients.start();
      await until("all are accepted", () => clients.clients.every(({ answered }) => answered > 0));
      for (const program of programs.slice(1)) {
        const predecessor = worker;
        worker = await scene.replace(worker, program);
        expect(await scene.countsOf(predecessor)).toMatchObject({ left: 250, taken: 250, kept: 0, lost: 0 });
      }
      const result = await clients.stop();
      expect(result).toMatchObject({ faults: [], closed: 0 });
      expect(result.answered).toBeGreaterThan(1000);
      expect(new Set(clients.clients.map(({ pids }) => pids.has(worker.pid)))).toEqual(new Set([true]));
      expect(scene.drops).toEqual([]);
    },
  );
});
