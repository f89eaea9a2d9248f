import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { ask } from "../integration/ask.js";
import { command } from "../integration/fixture.js";
import { KeeperRun } from "./keeper-run.js";
import { random } from "./random.js";

/** Freed pages that the allocator keeps, and pages of the stack that a deep call touched: no more than this. */
const residentSlackKib = 128;

describe("a keeper whose supervisor speaks garbage", () => {
  test("answers each frame with an error, keeps nothing, and serves the next supervisor", async () => {
    const { seed } = random();
    const port = await freePort();
    const run = new KeeperRun({
      script: `
        [ -e spoken ] && exec "$NODE" "$ROOT/dist/bin/supervisor.js" -c holdfast.toml
        : > spoken
        exec "$NODE" "$ROOT/test/fault/speaks-garbage.mjs" ${seed}`,
      config: `
        [socket.s]
        listen = ["tcp://127.0.0.1:${port}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"
        start = "connection"`,
    });
    const line = await until("a report", () => run.lines.find((text) => text.startsWith(`{"beforeAttach"`)), {
      timeoutMs: 60_000,
    }).catch((error) => {
      throw new Error(run.output, { cause: error });
    });
    const report = JSON.parse(line);

    const enotconn = "errno 107";
    expect(Object.keys(report.beforeAttach)).toEqual([enotconn]);
    expect(report).toMatchObject({ unanswered: 0, dropped: report.sentByForeigner });
    const [ebadmsg, eproto, emsgsize, enoent] = ["errno 74", "errno 71", "errno 90", "errno 2"];
    expect(Object.keys(report.replies)).toEqual(expect.arrayContaining([ebadmsg, eproto, emsgsize, enoent, "ok"]));
    expect(report.after.descriptors, `seed ${seed}`).toBe(report.before.descriptors);
    expect(report.after.residentKib, `seed ${seed}`).toBeLessThanOrEqual(report.before.residentKib + residentSlackKib);

    const { keeperPid, starts, previousEnd } = await run.supervisor();
    expect({ keeperPid, starts, previousEnd }).toEqual({
      keeperPid: run.pid,
      starts: 2,
      previousEnd: "exited with code 0",
    });
    expect(await ask({ host: "127.0.0.1", port })).toMatch(/^\d+\n$/);
    run.kill("SIGTERM");
    expect(await run.exit).toEqual({ code: 0, signal: null });
  }, 90_000);
});
