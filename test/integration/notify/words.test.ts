import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { notify } from "../../../src/ancillary/index.js";
import { descriptorCount, isRunning } from "../census.js";
import { command } from "../fixture.js";
import { scenes } from "../scene.js";
import {
  counters,
  hasLibsystemd,
  hasSystemdNotify,
  hear,
  logged,
  next,
  replaceSupervisor,
  say,
  saying,
  shown,
} from "./saying.js";

const { start } = scenes();

describe.skipIf(!hasLibsystemd)("a worker that says STOPPING=1", () => {
  test("is shown as stopping and replaced once it is gone, and its last words are kept", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    await hear(scene, "STOPPING=1;STATUS=no space;ERRNO=28;EXIT_STATUS=7");
    const { workers, ready } = await scene.service("s");
    expect(ready).toBe(0);
    expect(workers).toMatchObject([
      { phase: "stopping", statusText: "no space", errno: expect.stringContaining("ENOSPC"), exitStatus: 7 },
    ]);
    await scene.event("leaving", "s");
    await next(scene, () => say(scene, "exit 7"));
    const { lastFailure } = await scene.service("s");
    expect(lastFailure).toMatchObject({ code: "exited", exitCode: 7 });
    expect(lastFailure?.lastLines.at(-1)).toMatch(/^holdfast: it said of itself: ENOSPC: .*, exit status 7, no space$/);
    expect((await scene.holdfast.cli("why", "s")).stdout).toContain("ENOSPC");
  });

  test("is killed when it does not end", async () => {
    const scene = await start({
      config: saying("READY=1", 'stop.timeout = "200ms"\ndrain.timeout = "200ms"'),
    });
    await scene.ready("s");
    await next(scene, () => say(scene, "STOPPING=1"));
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "signalled", signal: 9 }, forced: true });
  });
});

describe.skipIf(!hasLibsystemd)("a worker that says EXTEND_TIMEOUT_USEC", () => {
  test("may take longer than the ready timeout, and no longer than it asked for", async () => {
    const scene = await start({ config: saying("EXTEND_TIMEOUT_USEC=1800000", "", "600ms") });
    const started = await scene.event("worker-started", "s");
    const ended = await scene.event("ready-timeout", "s");
    // Its own start takes time as well, and the times of events are whole milliseconds.
    expect(Date.parse(ended.at) - Date.parse(started.at)).toBeGreaterThanOrEqual(1_799);
  });
});

describe.skipIf(!hasLibsystemd)("what a worker has said", () => {
  test("outlives the supervisor", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    await hear(scene, "STATUS=here before;ERRNO=2", "NOTIFYACCESS=main");
    await replaceSupervisor(scene);
    const { workers } = await scene.service("s");
    expect(workers[0]).toMatchObject({ statusText: "here before", errno: expect.stringContaining("ENOENT") });
    await say(scene, "child STATUS=not-me");
    await logged(scene, ({ text }) => text.startsWith("child said"));
    expect((await scene.service("s")).statusText).toBe("here before");
    expect(await counters(scene)).toMatchObject({ "notify-refused": expect.any(Number) });
  });

  test("by a child counts until NOTIFYACCESS=main, and nothing does after NOTIFYACCESS=none", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    await say(scene, "child STATUS=by-a-child");
    await logged(scene, ({ text }) => text.startsWith("child said"));
    expect((await scene.service("s")).statusText).toBe("by-a-child");
    await hear(scene, "NOTIFYACCESS=none", "STATUS=too-late");
    expect((await scene.service("s")).statusText).toBe("by-a-child");
  });

  test("by a child does not count with notify_access = main, until the worker itself says otherwise", async () => {
    const scene = await start({ config: saying("READY=1", 'notify_access = "main"') });
    await scene.ready("s");
    await say(scene, "child STATUS=not-me");
    await logged(scene, ({ text }) => text === "child said STATUS=not-me");
    await hear(scene, "NOTIFYACCESS=all");
    expect((await scene.service("s")).statusText).toBeUndefined();
    await say(scene, "child STATUS=me");
    await logged(scene, ({ text }) => text === "child said STATUS=me");
    expect((await scene.service("s")).statusText).toBe("me");
  });

  test.skipIf(!hasSystemdNotify)(
    "by a process that has ended since counts, as what the real systemd-notify says in passing",
    async () => {
      const scene = await start({ config: saying() });
      await scene.ready("s");
      const supervisor = await scene.supervisorPid();
      process.kill(supervisor, "SIGSTOP"); // It hears of it only when nothing is left of the sender.
      await say(scene, "run systemd-notify --no-block --status=in-passing");
      await expect.poll(() => existsSync(join(scene.directory, "ran")), { timeout: 20_000 }).toBe(true);
      process.kill(supervisor, "SIGCONT");
      await hear(scene, "X_BARRIER=1");
      expect((await scene.service("s")).statusText).toBe("in-passing");
    },
  );

  test("by strangers, with garbage, or too long is dropped and counted", async () => {
    const scene = await start({ config: saying() });
    const { env } = await shown(scene);
    await scene.ready("s");
    notify("STATUS=foreign", { socket: env.NOTIFY_SOCKET! });
    notify(`READY=1\nSTATUS=${"x".repeat(5_000)}`, { socket: env.NOTIFY_SOCKET! });
    notify("no assignment", { socket: env.NOTIFY_SOCKET! });
    await hear(scene, "EXTEND_TIMEOUT_USEC=soon;ERRNO=-3;STATUS=mine", "store FDNAME=nobody-said-that-it-may x");
    expect((await scene.service("s")).statusText).toBe("mine");
    expect(await counters(scene)).toMatchObject({
      "notify-foreign": 1,
      "notify-too-large": 1,
      "notify-malformed": 1,
      "notify-malformed-values": 1,
      "fdstore-full": 1,
    });
  });

  test.runIf(process.getuid?.() === 0)(
    "with its last breath counts, also when it has dropped root and nothing is left of it",
    async () => {
      const scene = await start({ config: saying("READY=1", "fd_store = 1") });
      await scene.ready("s");
      const [pid, supervisor] = [await scene.pid("s"), await scene.supervisorPid()];
      process.kill(supervisor, "SIGSTOP");
      await say(scene, "drop 64123\nSTATUS=no space;ERRNO=28\nstore FDNAME=left behind\nexit 3");
      await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
      process.kill(supervisor, "SIGCONT");
      expect((await shown(scene, 1)).fds).toEqual(["left behind"]);
      expect((await scene.service("s")).lastFailure?.lastLines.at(-1)).toMatch(/ENOSPC: .*, no space$/);
    },
  );

  test.skipIf(!hasSystemdNotify)("with systemd-notify is heard before that returns", async () => {
    const scene = await start({ config: `[service.s]\n${command("uses-systemd-notify")}\nready = "notify"` });
    await scene.ready("s");
    expect((await scene.service("s")).statusText).toBe("said by systemd-notify");
    await scene.line("s", /^heard$/);
  });
});

describe.skipIf(!hasLibsystemd)("a barrier", () => {
  test("holds until all before it has been handled, and takes one descriptor and no more", async () => {
    const scene = await start({ config: saying() });
    await scene.ready("s");
    const supervisor = await scene.supervisorPid();
    await hear(scene, ...Array.from({ length: 50 }, (_, index) => `STATUS=${index}`));
    expect((await scene.service("s")).statusText).toBe("49");
    const before = descriptorCount(supervisor);
    await hear(scene, "many BARRIER=1 2", "many BARRIER=1 253", "many STATUS=with-descriptors 253");
    expect(await counters(scene)).toMatchObject({ "notify-barriers-refused": 2 });
    expect((await scene.service("s")).statusText).toBe("with-descriptors");
    await expect.poll(() => descriptorCount(supervisor)).toBeLessThanOrEqual(before);
  });
});
