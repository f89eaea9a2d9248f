import { renameSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startLoad } from "../../../bench/load.mjs";
import { scenes } from "../scene.js";
import { everything, inventory, startsLater, view } from "../self-reexec/scene-of-everything.js";
import { type Changes, change, installation } from "./installation.js";

const { start } = scenes();
/** Far more than a start takes on a busy machine, where it is not the time that is tried. */
const LONG_MS = 60_000;
const RUN = /async run\(\) \{/;

interface Candidate {
  readonly what: string;
  readonly changes: Changes;
  readonly timeoutMs?: number;
  readonly says: string;
}

const candidates: readonly Candidate[] = [
  {
    what: "a syntax error",
    changes: { "runtime/supervisor.js": [[RUN, "async run( {"]] },
    says: "was tried and ended with exit code 1 before it said that it would take over",
  },
  {
    what: "a crash",
    changes: {
      "runtime/upgrade/rehearsal.js": [["export function rehearse(", "export function rehearse(a = 1 / nobody, "]],
    },
    says: "was tried and ended with exit code",
  },
  {
    what: "a signal that kills it",
    changes: { "runtime/supervisor.js": [[RUN, "async run() { process.kill(process.pid, 9);"]] },
    says: "was tried and killed by SIGKILL",
  },
  {
    what: "an endless loop",
    changes: { "runtime/supervisor.js": [[RUN, "async run() { for (;;);"]] },
    timeoutMs: 600,
    says: "has not said within 0.6 s that it would take over; it was killed",
  },
  {
    what: "another opinion of the configuration",
    changes: { "runtime/service-setup.js": [["slice(0, 16)", "slice(0, 15)"]] },
    says: "would not leave everything as it is: it would replace web/1, because it takes its configuration for another one; replace web/2",
  },
  {
    what: "states that it cannot read",
    changes: { "runtime/service-store.js": [["const VERSION = 1;", "const VERSION = 2;"]] },
    says: "it would begin web anew, because it cannot read its state",
  },
  {
    what: "the next protocol",
    changes: { "runtime/keeper/frame.js": [["PROTOCOL_VERSION = 1", "PROTOCOL_VERSION = 2"]] },
    says: "speaks version 2 of the keeper's protocol, and the keeper another one",
  },
  {
    what: "no knowledge of shadows",
    changes: { "main.js": [['HOLDFAST_KEEPER_MODE === "shadow"', "HOLDFAST_KEEPER_MODE === 0"]] },
    says: "wants to be in charge at once and cannot be tried",
  },
];

describe("a version that cannot take over", () => {
  test("is refused in words, and the one that runs stays in charge", { timeout: 120_000 }, async () => {
    const { scene, port } = await everything(start);
    const before = await inventory(scene);
    const directory = installation(scene);
    const load = startLoad({ target: { host: "127.0.0.1", port }, rate: 50 });
    const stays = `the supervisor was not upgraded, and the one that runs (pid ${before.supervisor}) stays in charge: `;
    for (const { what, changes, timeoutMs = LONG_MS, says } of candidates) {
      const undo = change(directory, changes);
      const answer = await scene.holdfast.post("/v1/supervisor/upgrade", { directory, timeoutMs });
      undo();
      expect(answer, what).toMatchObject({ result: "failed", message: expect.stringContaining(says) });
      expect(answer.message, what).toContain(stays);
      expect(await inventory(scene), what).toEqual(before);
    }
    const main = join(directory, "dist/bin/supervisor.js");
    renameSync(main, `${main}.away`);
    const { code, stdout, stderr } = await scene.holdfast.cli("self", "upgrade", "--to", directory);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`failed: ${stays}${main} is missing or cannot be read`);
    expect(await load.stop()).toMatchObject({ failed: 0 });
    expect((await view(scene)).starts).toBe(1);
    await startsLater(scene);
  });
});
