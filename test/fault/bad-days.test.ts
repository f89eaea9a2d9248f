/** The machine gives less than it promised: no descriptors, no processes, no space; and very much happens at once. */
import { execFileSync } from "node:child_process";
import { chownSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { descendants, readMemory } from "../../bench/lib/proc.mjs";
import { gone } from "../../bench/lib/time-answer.mjs";
import { until } from "../../bench/lib/until.mjs";
import { fillQueue } from "../fixtures/full-queue.js";
import { ask } from "../integration/ask.js";
import { descriptorCount, noMoreThan } from "../integration/census.js";
import { command } from "../integration/fixture.js";
import { scenes } from "../integration/scene.js";

const { start } = scenes();
const isRoot = process.getuid?.() === 0;
const uid = 64_127;

/** Sets the soft limit of a running process; of another user's as that user, who needs no right for it. */
function limit(pid: number, what: "nofile" | "nproc", soft: number | string, as?: number): void {
  execFileSync("prlimit", [`--pid=${pid}`, `--${what}=${soft}:`], as === undefined ? {} : { uid: as, gid: as });
}

describe("a supervisor that has no descriptor left", () => {
  test("ends, and the next one has lost nothing", { timeout: 60_000 }, async () => {
    const [web, lazy] = [await freePort(), await freePort()];
    const scene = await start({
      defaults:
        'restart = { backoff = { initial = "10ms", max = "100ms" }, limit = { starts = 10000, interval = "1s" } }',
      config: `
        [socket.web]
        listen = ["tcp://127.0.0.1:${web}"]
        [socket.lazy]
        listen = ["tcp://127.0.0.1:${lazy}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["web"]
        workers = 2
        ready = "notify"
        start = "boot"
        [service.lazy]
        ${command("answers-pid")}
        sockets = ["lazy"]
        ready = "notify"
        start = "connection"`,
    });
    await scene.ready("web");
    const [killed, stays] = await scene.holdfast.workerPids("web");
    const supervisor = await scene.supervisorPid();
    limit(supervisor, "nofile", 3);
    process.kill(killed!, "SIGKILL");
    const activated = ask({ host: "127.0.0.1", port: lazy });
    expect(Number(await ask({ host: "127.0.0.1", port: web }))).toBe(stays);
    // The first thing that cannot be taken from the keeper ends it; the next one has the limit that the keeper was started with.
    await gone(supervisor);
    expect(await scene.holdfast.answers()).toMatchObject({ starts: 2, previousEnd: "exited with code 70" });

    const all = () => scene.holdfast.workerPids("web").then((pids) => pids.length === 2 && pids);
    await scene.ready("web");
    expect(await until("two workers", all)).toContain(stays);
    expect([await scene.pid("lazy")]).toEqual([Number(await activated)]);
    expect(scene.holdfast.output).toMatch(/the supervisor crashed: .*(EMFILE|ANCILLARY_TRUNCATED|no descriptor left)/);
  });
});

describe.runIf(isRoot)("a keeper that may not fork", () => {
  test("says so, and its services start when it may", async () => {
    const scene = await start({
      prefix: ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"],
      env: { HOME: "/nonexistent" },
      prepare: (directory) => chownSync(directory, uid, uid),
      defaults:
        'restart = { backoff = { initial = "50ms", max = "200ms" }, limit = { starts = 1000, interval = "1s" } }',
      config: `
        [service.web]
        command = ["/bin/sleep", "3600"]
        ready = { when = "spawned", settle = "0ms" }
        start = "boot"`,
    });
    await scene.ready("web");
    const from = await scene.now();
    const worker = await scene.pid("web");
    const keeper = scene.holdfast.keeperPid!;
    const before = /^Max processes +(\w+)/m.exec(readFileSync(`/proc/${keeper}/limits`, "latin1"))![1]!;
    limit(keeper, "nproc", 1, uid);
    process.kill(worker, "SIGKILL");
    const first = await scene.event("start-delayed", "web", from);
    const again = await scene.event("start-delayed", "web", first.sequence);
    expect((await scene.service("web")).lastFailure?.message).toMatch(/step fork failed: .*\(EAGAIN\)/);
    limit(keeper, "nproc", before, uid);
    await scene.event("worker-ready", "web", again.sequence);
    await scene.ready("web");
  });
});

/** The words that give a program a folder `small` in its working directory, which takes 64 KiB and nobody else sees. */
const inSmallSpace = [
  ...["unshare", "--mount", "--propagation", "private", "sh", "-c"],
  'mkdir -p small && mount -t tmpfs -o size=64k none small && exec "$@"',
  "sh",
];

function whyNoSmallSpace(): string | undefined {
  try {
    execFileSync(inSmallSpace[0]!, [...inSmallSpace.slice(1), "true"], { cwd: "/tmp", stdio: "pipe" });
    return undefined;
  } catch (error) {
    return (error as { stderr?: Buffer }).stderr?.toString().trim() ?? "unshare(1) is not there";
  }
}

const noSpaceToFill = whyNoSmallSpace();
if (noSpaceToFill !== undefined) process.stderr.write(`SKIPPED: a full file system: ${noSpaceToFill}\n`);

describe.skipIf(noSpaceToFill !== undefined)("a log on a file system that is full", () => {
  test("holds nobody up; what is lost is counted, and said once", { timeout: 60_000 }, async () => {
    const lines = 40_000;
    const scene = await start({
      prefix: inSmallSpace,
      config: `
        [service.flood]
        ${command("floods", String(lines), "100", "10000000")}
        log = "file:small/flood.log"`,
    });
    const path = `/proc/${scene.holdfast.keeperPid}/root${join(scene.directory, "small/flood.log")}`;
    const said = (what: string) => scene.holdfast.output.split("\n").filter((line) => line.includes(what));
    // It has come to its end all the same. Whoever follows so many lines may be too slow for them, so this looks at the last one.
    const last = async () => (await scene.holdfast.run("logs", "flood", "-n", "1")).includes("wrote ");
    await until("the end of the flood", last, { timeoutMs: 20_000, everyMs: 100 });
    const { logDropped } = await scene.service("flood");
    expect(logDropped).toBeGreaterThan(lines / 2);
    expect(said("cannot write")).toEqual([expect.stringMatching(/flood.log: .*(ENOSPC|no space left)/)]);

    const size = readFileSync(path).length;
    expect(size).toBeLessThanOrEqual(64 * 1024);
    const empties = setInterval(() => truncateSync(path), 20); // What waits in memory is more than the file system takes at once.
    try {
      await until("a log that is written again", () => said("is written again").length > 0, { timeoutMs: 20_000 });
    } finally {
      clearInterval(empties);
    }
  });
});

describe("a keeper with a storm of ends", () => {
  test("reaps every process and reports every worker", { timeout: 60_000 }, async () => {
    const [orphans, workers] = [1000, 100];
    const scene = await start({
      defaults: 'restart = { backoff = { initial = "0ms" }, limit = { starts = 10000, interval = "1s" } }',
      config: `
        [service.storm]
        ${command("storms", String(orphans))}
        start = "boot"
        [service.many]
        command = ["/bin/sleep", "3600"]
        workers = ${workers}
        ready = { when = "spawned", settle = "0ms" }
        start = "boot"`,
    });
    const keeper = scene.holdfast.keeperPid!;
    await scene.ready("many");
    await scene.line("storm", /^waiting/);
    const pids = await scene.holdfast.workerPids("many");
    expect(descendants(keeper).length).toBeGreaterThan(orphans + workers);
    const from = await scene.now();
    process.kill(await scene.pid("storm"), "SIGUSR1");
    for (const pid of pids) process.kill(pid, "SIGKILL");

    await scene.line("storm", /^over/);
    const isNew = async () => {
      const now = await scene.holdfast.workerPids("many");
      return now.length === workers && !now.some((pid) => pids.includes(pid));
    };
    await until("other workers", isNew, { timeoutMs: 30_000, everyMs: 50 });
    await scene.ready("many");
    expect(await scene.service("many")).toMatchObject({ restarts: workers, ready: workers });
    const ended = scene.events.filter(({ type, sequence }) => type === "worker-ended" && sequence > from);
    expect(ended.map(({ data }) => data!.pid).sort()).toEqual([...pids].sort());
    // The supervisor, the worker of the storm and the new ones: nobody else, dead or alive.
    await until("every orphan is reaped", () => descendants(keeper).length === workers + 2, { timeoutMs: 30_000 });
  });
});

describe("a service that is restarted again and again", () => {
  test("costs neither descriptors nor memory", { timeout: 1_600_000 }, async () => {
    const wanted = Number(process.env.HOLDFAST_RESTARTS ?? 2000);
    const atMostMs = process.env.HOLDFAST_RESTARTS === undefined ? 25_000 : 1_500_000;
    const scene = await start({
      config: `
        [service.web]
        command = ["/bin/sleep", "3600"]
        ready = { when = "spawned", settle = "0ms" }
        start = "boot"`,
    });
    await scene.ready("web");
    const pids = [scene.holdfast.keeperPid!, await scene.supervisorPid()];
    const look = () => ({ fds: pids.map(descriptorCount), rss: pids.map((pid) => readMemory(pid).rss) });
    const begun = performance.now();
    let before: ReturnType<typeof look> | undefined;
    let done = 0;
    for (; done < wanted && performance.now() - begun < atMostMs; done++) {
      if (done >= 500 || performance.now() - begun > atMostMs / 2) before ??= look();
      const { result, message } = await scene.restart("web");
      expect(result, message).toBe("done");
    }
    const after = look();
    process.stdout.write(`${done} restarts: ${JSON.stringify({ before, after })}\n`);
    expect(await scene.supervisorPid()).toBe(pids[1]);
    // The last ones are being forgotten.
    await expect.poll(() => look().fds).toEqual(noMoreThan(before!.fds.map((count) => count + 2)));
    // KiB. The keeper has its tables; the heap of the supervisor comes and goes with its collector.
    expect(after.rss[0]! - before!.rss[0]!).toBeLessThan(256);
    expect(after.rss[1]! - before!.rss[1]!).toBeLessThan(64 * 1024);
  });
});

describe("a control socket whose queue is full", () => {
  test("holds up operators and nobody else, until its supervisor takes them", { timeout: 60_000 }, async () => {
    const port = await freePort();
    const scene = await start({
      supervisor: 'watchdog = "0s"',
      config: `
        [socket.s]
        listen = ["tcp://127.0.0.1:${port}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"
        workers = 2
        start = "boot"`,
    });
    await scene.ready("web");
    const supervisor = await scene.supervisorPid();
    const [killed, stays] = await scene.holdfast.workerPids("web");
    const before = descriptorCount(supervisor);
    process.kill(supervisor, "SIGSTOP");
    const waiting = fillQueue(scene.holdfast.control);
    expect(waiting.length).toBeGreaterThan(200);
    const listed = scene.holdfast.cli("ls");
    process.kill(killed!, "SIGKILL");
    await gone(killed!);
    expect(Number(await ask({ host: "127.0.0.1", port }))).toBe(stays);
    for (const client of waiting) client.close(); // They have given up, and wait in the queue all the same.
    process.kill(supervisor, "SIGCONT");
    expect(await listed).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("web") });
    await until("two workers", async () => (await scene.service("web")).ready === 2);
    expect(await scene.supervisorPid()).toBe(supervisor);
    await expect.poll(() => descriptorCount(supervisor), { timeout: 20_000 }).toBeLessThanOrEqual(before + 4);
  });
});
