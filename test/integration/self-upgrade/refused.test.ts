import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startLoad } from "../../../bench/load.mjs";
import { type Scene, scenes } from "../scene.js";
import { everything, inventory, startsLater, view } from "../self-reexec/scene-of-everything.js";
import { installation } from "./installation.js";

const { start } = scenes();
/** Far more than a start takes on a busy machine, where it is not the time that is tried. */
const LONG_MS = 60_000;
const RUN = /async run\(\) \{/;

interface Candidate {
  readonly what: string;
  readonly directory: (scene: Scene) => string;
  readonly timeoutMs?: number;
  readonly says: string;
}

function withoutMain(scene: Scene): string {
  const directory = installation(scene);
  rmSync(join(directory, "dist/daemon/main.js"));
  return directory;
}

const candidates: readonly Candidate[] = [
  { what: "nothing", directory: () => "/nowhere", says: "/nowhere is no installation of holdfast" },
  { what: "half of one", directory: withoutMain, says: "dist/daemon/main.js is missing or cannot be read" },
  {
    what: "one for another Node",
    directory: (scene) => installation(scene, { engine: ">=99.1" }),
    says: `needs Node.js 99.1 or later, and this supervisor runs with ${process.versions.node}`,
  },
  {
    what: "one with a syntax error",
    directory: (scene) => installation(scene, { changes: { "runtime/supervisor.js": [[RUN, "async run( {"]] } }),
    says: "was tried and ended with exit code 1 before it said that it would take over",
  },
  {
    what: "one that crashes",
    directory: (scene) =>
      installation(scene, {
        changes: {
          "runtime/upgrade/rehearsal.js": [["export function rehearse(", "export function rehearse(a = 1 / nobody, "]],
        },
      }),
    says: "was tried and ended with exit code",
  },
  {
    what: "one that is killed",
    directory: (scene) =>
      installation(scene, {
        changes: { "runtime/supervisor.js": [[RUN, "async run() { process.kill(process.pid, 9);"]] },
      }),
    says: "was tried and killed by SIGKILL",
  },
  {
    what: "one that hangs",
    directory: (scene) =>
      installation(scene, { changes: { "runtime/supervisor.js": [[RUN, "async run() { for (;;);"]] } }),
    timeoutMs: 600,
    says: "has not said within 0.6 s that it would take over; it was killed",
  },
  {
    what: "one that takes the configuration for another one",
    directory: (scene) =>
      installation(scene, { changes: { "runtime/service-setup.js": [["slice(0, 16)", "slice(0, 15)"]] } }),
    says: "would not leave everything as it is: it would replace web/1, because it takes its configuration for another one; replace web/2",
  },
  {
    what: "one that cannot read the states",
    directory: (scene) =>
      installation(scene, { changes: { "runtime/service-store.js": [["const VERSION = 1;", "const VERSION = 2;"]] } }),
    says: "it would begin web anew, because it cannot read its state",
  },
  {
    what: "one of the next protocol",
    directory: (scene) =>
      installation(scene, {
        changes: { "runtime/keeper/frame.js": [["PROTOCOL_VERSION = 1", "PROTOCOL_VERSION = 2"]] },
      }),
    says: "speaks version 2 of the keeper's protocol, and the keeper another one",
  },
  {
    what: "one that knows nothing of shadows",
    directory: (scene) =>
      installation(scene, {
        changes: { "main.js": [['HOLDFAST_KEEPER_MODE === "shadow"', "HOLDFAST_KEEPER_MODE === 0"]] },
      }),
    says: "wants to be in charge at once and cannot be tried",
  },
];

describe("a version that cannot take over", () => {
  test("is refused in words, and the one that runs stays in charge", { timeout: 120_000 }, async () => {
    const { scene, port } = await everything(start);
    const before = await inventory(scene);
    const directories = candidates.map(({ directory }) => directory(scene));
    const load = startLoad({ target: { host: "127.0.0.1", port }, rate: 50 });
    for (const [index, { what, timeoutMs = LONG_MS, says }] of candidates.entries()) {
      const answer = await scene.holdfast.post("/v1/supervisor/upgrade", { directory: directories[index], timeoutMs });
      expect(answer, what).toMatchObject({ result: "failed", message: expect.stringContaining(says) });
      const stays = `the supervisor was not upgraded, and the one that runs (pid ${before.supervisor}) stays in charge: `;
      expect(answer.message, what).toContain(stays);
      expect(await inventory(scene), what).toEqual(before);
    }
    expect(await load.stop()).toMatchObject({ failed: 0 });
    const { code, stdout, stderr } = await scene.holdfast.cli("self", "upgrade", "--to", "/nowhere");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("failed: the supervisor was not upgraded");
    expect((await view(scene)).starts).toBe(1);
    await startsLater(scene);
  });
});
