import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { gone } from "../../bench/lib/time-answer.mjs";
import { startLoad } from "../../bench/load.mjs";
import { command } from "../integration/fixture.js";
import { scenes } from "../integration/scene.js";
import { random } from "./random.js";

const { start } = scenes();
const kills = 5;
/** Between an answer of a supervisor and its death, in ms: it may be in the middle of its adoption's end, or long idle. */
const longestLifeMs = 300;

describe("a supervisor that is killed at random moments under 500 requests/s", () => {
  test("costs no request and no worker", async () => {
    const { seed, next } = random();
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://127.0.0.1:${port}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        workers = 2
        ready = "notify"
        start = "boot"`,
    });
    await scene.ready("web");
    const before = await scene.holdfast.workerPids("web");
    const answered = new Set<number>();
    let due: (() => void) | undefined;
    let dueAtMs = 0;
    const load = startLoad({
      target: { host: "127.0.0.1", port },
      protocol: "line",
      rate: 500,
      durationMs: 60_000,
      onAnswer: (pid, atMs) => {
        answered.add(Number(pid));
        if (atMs >= dueAtMs) due?.();
      },
    });
    const begun = performance.now();
    for (let count = 0; count < kills; count++) {
      const { pid } = await scene.holdfast.answers();
      dueAtMs = performance.now() - begun + next() * longestLifeMs;
      await new Promise<void>((resolve) => {
        due = resolve; // The clock of this test is the load itself: the first answer after that moment.
      });
      process.kill(pid, "SIGKILL");
      await gone(pid);
    }
    const { starts, previousEnd } = await scene.holdfast.answers();
    const { failed, outcomes, errors, sent } = await load.stop();

    expect({ failed, errors }, `seed ${seed}: ${JSON.stringify(outcomes)}`).toEqual({ failed: 0, errors: {} });
    expect(sent).toBeGreaterThan(500);
    expect(await scene.holdfast.workerPids("web"), `seed ${seed}`).toEqual(before);
    expect([...answered].sort()).toEqual([...before].sort());
    expect({ starts, previousEnd }).toEqual({ starts: kills + 1, previousEnd: "was killed by SIGKILL" });
  });
});
