import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { ask, connect } from "./ask.js";
import { descriptorCount, noMoreThan } from "./census.js";
import { command } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";
import { replaceWorker } from "./worker-file.js";

const { start } = scenes();

function server(port: number, more = ""): string {
  return `
    [socket.s]
    listen = ["tcp://127.0.0.1:${port}"]
    [service.web]
    ${command("answers-pid")}
    sockets = ["s"]
    ready = "notify"
    ${more}`;
}

describe("a worker that is killed", () => {
  test("is replaced at once", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port) });
    await scene.ready("web");
    const before = await scene.pid("web");
    const from = await scene.now();
    process.kill(before, "SIGKILL");

    const answer = Number(await ask({ host: "127.0.0.1", port }));
    expect(answer).not.toBe(before);
    const ended = await scene.event("worker-ended", "web", from);
    expect(ended.data).toMatchObject({ end: { kind: "signalled", signal: 9 }, pid: before, forced: false });
    await scene.event("worker-ready", "web", ended.sequence);
    expect(await scene.pid("web")).toBe(answer);
    expect(scene.events.map(({ type }) => type)).not.toContain("start-delayed");
    expect(await scene.service("web")).toMatchObject({
      restarts: 1,
      lastFailure: { code: "killed", signal: "SIGKILL" },
    });
  });

  test("leaves the connections in the queue to the next one", async () => {
    const port = await freePort();
    const scene = await start({ config: server(port) });
    await scene.ready("web");
    const before = await scene.pid("web");
    process.kill(before, "SIGSTOP"); // From now on nobody accepts.
    const waiting = await Promise.all(Array.from({ length: 10 }, () => connect({ host: "127.0.0.1", port })));
    expect(await scene.socket("s")).toMatchObject({ queued: 10 });
    process.kill(before, "SIGKILL");

    const answers = await Promise.all(waiting.map(({ answer }) => answer));
    await scene.ready("web");
    expect(new Set(answers)).toEqual(new Set([`${await scene.pid("web")}\n`]));
  });

  test("thirty times leaves no descriptor behind in keeper and supervisor", async () => {
    const port = await freePort();
    const scene = await start({
      config: server(port, 'restart = { backoff = { initial = "0ms" }, limit = { starts = 1000, interval = "1s" } }'),
    });
    const supervisor = await scene.supervisorPid();
    const census = () => [descriptorCount(scene.holdfast.keeperPid!), descriptorCount(supervisor)];
    const killAndAsk = async () => {
      await scene.ready("web");
      const from = await scene.now();
      process.kill(await scene.pid("web"), "SIGKILL");
      await scene.event("worker-ready", "web", from);
    };
    for (let i = 0; i < 3; i++) await killAndAsk();
    const before = census();
    for (let i = 0; i < 30; i++) await killAndAsk();
    await expect.poll(census).toEqual(noMoreThan(before));
  });
});

/** Which ends lead to another worker, as the table of systemd.service(5) has it. */
const policies: Record<string, readonly string[]> = {
  always: ["exit 0", "exit 3", "SIGTERM", "SIGSEGV"],
  "on-success": ["exit 0", "SIGTERM"],
  "on-failure": ["exit 3", "SIGSEGV"],
  "on-abnormal": ["SIGSEGV"],
  never: [],
};
const ends: Record<string, readonly string[]> = {
  "exit 0": ["exits-with", "0"],
  "exit 3": ["exits-with", "3"],
  SIGTERM: ["kills-itself", "TERM"],
  SIGSEGV: ["kills-itself", "SEGV"],
};

describe("a worker that ends by itself", () => {
  test("is started again or not as restart.when says", async () => {
    const cases = Object.entries(policies).flatMap(([when, again]) =>
      Object.entries(ends).map(([end, words]) => {
        const name = `${when}.${end.replace(" ", "-")}`;
        return { name, when, words, again: again.includes(end) };
      }),
    );
    const service = ({ name, when, words: [program, ...args] }: (typeof cases)[number]) => `
      [service."${name}"]
      ${command(program!, ...args)}
      ready = "spawned"
      start = "manual"
      restart.when = "${when}"`;
    const scene = await start({
      defaults: 'restart.backoff = { initial = "1h", max = "1h" }\nlimits = { core = 0 }',
      config: cases.map(service).join("\n"),
    });
    for (const { name } of cases) await scene.act(name, "start");
    const outcomes = await Promise.all(
      cases.map(async ({ name }) => {
        await Promise.race([scene.event("halted", name), scene.event("start-delayed", name)]);
        const starts = scene.events.filter(({ type, service }) => type === "worker-started" && service === name);
        return `${name}: ${starts.length}`;
      }),
    );
    // Each is ready before it ends, so the first restart is at once; the next one waits an hour.
    expect(outcomes).toEqual(cases.map(({ name, again }) => `${name}: ${again ? 2 : 1}`));
  });

  test("with a code of restart.prevent is not started again", async () => {
    const scene = await start({
      config: `
        [service.job]
        ${command("exits-with", "3")}
        restart = { when = "always", prevent = [3, 4] }`,
    });
    await scene.event("halted", "job");
    expect(await scene.service("job")).toMatchObject({
      phase: "failed",
      restarts: 0,
      lastFailure: { code: "exited", exitCode: 3, lastLines: ["about to exit with 3"] },
    });
    expect(await scene.service("job")).toHaveProperty("next", expect.stringContaining("holdfast start"));
  });

  test("with a status of restart.success has not failed, and with one of restart.force is started again", async () => {
    const scene = await start({
      defaults: 'restart = { when = "on-failure", success = [3, "KILL"], force = [75] }\nready = "spawned"',
      config: `
        [service.by-code]
        ${command("exits-with", "3")}
        [service.by-signal]
        ${command("kills-itself", "KILL")}
        [service.task]
        ${command("exits-with", "3")}
        type = "task"
        [service.forced]
        ${command("exits-with", "75")}
        restart = { when = "never" }`,
    });
    for (const name of ["by-code", "by-signal"]) {
      await scene.event("halted", name);
      const view = await scene.service(name);
      expect(view).toMatchObject({ phase: "stopped", restarts: 0 });
      expect(view).not.toHaveProperty("lastFailure");
    }
    await scene.event("completed", "task");
    await scene.event("start-delayed", "forced");
    expect((await scene.service("forced")).restarts).toBeGreaterThan(0);
  });

  test("again and again is started with growing pauses up to the longest", async () => {
    const scene = await start({
      config: `
        [service.loop]
        ${command("exits-with", "1")}
        ready = "notify"
        restart = { backoff = { initial = "40ms", factor = 2, max = "200ms", jitter = 0 }, limit = { starts = 100, interval = "1s" } }`,
    });
    for (let seen = 0, after = 0; seen < 7; seen++)
      after = (await scene.event("worker-started", "loop", after)).sequence;
    const told = scene.events.filter(({ type }) => type === "worker-started" || type === "start-delayed");
    // A start follows each of them. (When an event is written says little about when it was.)
    expect(told.slice(1, 13).map(({ type }) => type)).toEqual(
      Array.from({ length: 6 }, () => ["start-delayed", "worker-started"]).flat(),
    );
    const pauses = told.flatMap(({ message }) => / again in (\d+) ms$/.exec(message)?.slice(1).map(Number) ?? []);
    expect(pauses.slice(0, 6)).toEqual([40, 80, 160, 200, 200, 200]);
    expect((await scene.service("loop")).lastFailure).toMatchObject({ code: "exited", exitCode: 1 });
  });
});

describe("a service at its start limit", () => {
  const limited = (interval: string) => `
    [service.loop]
    command = ["./worker"]
    restart = { backoff = { initial = "0ms" }, limit = { starts = 3, interval = "${interval}" } }`;

  async function reachLimit(interval: string): Promise<{ scene: Scene; at: number; nextStart: number }> {
    const scene = await start({
      config: limited(interval),
      prepare: (directory) => replaceWorker({ directory }, "exits-with", "1"),
    });
    const delayed = await scene.event("start-delayed", "loop");
    expect(delayed.data).toMatchObject({ why: "start-limit" });
    const starts = scene.events.filter(({ type }) => type === "worker-started");
    expect(starts).toHaveLength(3);
    const { phase, nextStartAt } = await scene.service("loop");
    expect(phase).toBe("limited");
    return { scene, at: delayed.sequence, nextStart: Date.parse(nextStartAt!) };
  }

  test("goes on by itself when the interval has passed", async () => {
    const { scene, at, nextStart } = await reachLimit("1500ms");
    await replaceWorker(scene, "never-ready"); // Whose readiness nobody asks for here: it runs.
    const started = await scene.event("worker-started", "loop", at);
    expect(Date.parse(started.at)).toBeGreaterThanOrEqual(nextStart - 2); // Whole milliseconds, at both ends.
    await scene.ready("loop");
  });

  test.each(["start", "reset"] as const)("is started at once by holdfast %s", async (action) => {
    const { scene, at } = await reachLimit("1h");
    await replaceWorker(scene, "never-ready");
    await scene.holdfast.run(action, "loop");
    await scene.event("worker-ready", "loop", at);
    expect(await scene.service("loop")).toMatchObject({ phase: "ready" });
  });
});
