import { chownSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { descriptorCount } from "../census.js";
import { scenes } from "../scene.js";
import { counters, hasLibsystemd, hear, next, replaceSupervisor, say, saying, shown } from "./saying.js";

const { start } = scenes();

describe.skipIf(!hasLibsystemd)("descriptors that a worker stores", () => {
  const storing = (more = "") => `
    [socket.x]
    listen = "unix://x"
    ${saying("READY=1", `sockets = ["x"]\nfd_store = 4\n${more}`)}`;

  test("come to the next worker after its sockets, in order and by name: after a crash, a restart, another supervisor, and another keeper", async () => {
    const scene = await start({ config: storing() });
    expect(await shown(scene)).toMatchObject({ fds: ["x socket"], env: { FDSTORE: "4" } });
    await scene.ready("s");
    await hear(scene, "store FDNAME=first one", "store FDPOLL=0 two", "store-path FDNAME=path /dev/null");
    expect((await scene.service("s")).workers[0]).toMatchObject({ stored: 3 });
    expect((await scene.holdfast.cli("status", "s")).stdout).toContain("STORED");
    const pid = await scene.pid("s");
    const kept = ["x socket", "first one", "stored two", "path /dev/null"];
    expect((await next(scene, () => process.kill(pid, "SIGKILL"))).fds).toEqual(kept);

    await replaceSupervisor(scene);
    await hear(scene, "store FDNAME=third three");
    expect((await next(scene, () => scene.restart("s"))).fds).toEqual([...kept, "third three"]);
    await scene.holdfast.killKeeper();
    expect((await next(scene, () => scene.restart("s", true))).fds).toEqual([...kept, "third three"]);
  });

  test("go when they are removed, hang up, or the service is stopped, or has ended and does not go on", async () => {
    const scene = await start({ config: storing('restart = "on-failure"') });
    await scene.ready("s");
    const keeper = scene.holdfast.keeperPid!;
    const supervisor = await scene.supervisorPid();
    const before = [keeper, supervisor].map(descriptorCount);
    await hear(scene, "store FDNAME=away 1", "store-pipe FDNAME=hangs", "store-pipe FDNAME=stays;FDPOLL=0");
    await hear(scene, "FDSTOREREMOVE=1;FDNAME=away", "FDSTOREREMOVE=1;FDNAME=unknown", "hang-up");
    await expect.poll(async () => (await scene.service("s")).workers[0]).toMatchObject({ stored: 1 });
    expect((await next(scene, () => scene.restart("s"))).fds).toEqual(["x socket", "stays pipe"]);
    await scene.act("s", "stop");
    const again = await next(scene, () => scene.act("s", "start"));
    expect(again.fds).toEqual(["x socket"]);
    await hear(scene, "store FDNAME=left 1");
    await say(scene, "exit 0");
    await scene.event("halted", "s");
    const last = await next(scene, () => scene.act("s", "start"));
    expect(last.fds).toEqual(["x socket"]);
    // The hang-up watch stays.
    await expect
      .poll(() =>
        [keeper, supervisor].map(descriptorCount).every((count, index) => count <= before[index]! + index * 2),
      )
      .toBe(true);
  });

  test("are kept once each and up to the limit; more are closed and counted", async () => {
    const scene = await start({ config: storing() });
    await scene.ready("s");
    const supervisor = await scene.supervisorPid();
    await hear(scene, "store-twice FDNAME=same", "store FDNAME=a a", "store FDNAME=b b", "store FDNAME=c c");
    const before = descriptorCount(supervisor);
    await hear(scene, "store FDNAME=d d", "store FDNAME=bad:name e");
    expect(await counters(scene)).toMatchObject({ "fdstore-full": 2, "notify-malformed-values": 1 });
    // Also what the answer was sent on is closed then, and the connection of that question.
    await expect.poll(() => descriptorCount(supervisor)).toBeLessThanOrEqual(before);
    const pid = await scene.pid("s");
    const { fds } = await next(scene, () => process.kill(pid, "SIGKILL"));
    expect(fds).toEqual(["x socket", "same twice", "a a", "b b", "c c"]);
  });

  test.runIf(process.getuid?.() === 0)("are kept by an unprivileged Holdfast as well, once each", async () => {
    const scene = await start({
      config: storing(),
      prefix: ["setpriv", "--reuid", "64123", "--regid", "64123", "--clear-groups"],
      env: { HOME: "/nonexistent" },
      prepare: (directory) => chownSync(directory, 64123, 64123),
    });
    await scene.ready("s");
    await hear(scene, "store-twice FDNAME=same", "store-pipe FDNAME=hangs", "hang-up");
    await expect.poll(async () => (await scene.service("s")).workers[0]).toMatchObject({ stored: 1 });
    const pid = await scene.pid("s");
    const { fds } = await next(scene, () => process.kill(pid, "SIGKILL"));
    expect(fds).toEqual(["x socket", "same twice"]);
  });

  test("wait for the next connection with a service that starts on demand", async () => {
    const scene = await start({ config: storing('start = "connection"') });
    const first = await next(scene, () => scene.act("s", "start"));
    expect(first.fds).toEqual(["x socket"]);
    await hear(scene, "store FDNAME=kept k", "store-pipe FDNAME=hangs");
    await say(scene, "exit 0"); // Both ends of the pipe but ours are gone, and the keeper's start names it perhaps.
    await scene.event("armed", "s", (await scene.event("worker-ended", "s")).sequence);
    const second = await next(scene, () => scene.act("s", "start"));
    expect(second.fds).toEqual(expect.arrayContaining(["x socket", "kept k"]));
  });
});
