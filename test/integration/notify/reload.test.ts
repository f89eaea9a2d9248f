import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { command } from "../fixture.js";
import { scenes } from "../scene.js";

const { start } = scenes();

describe("a worker that reloads", () => {
  const config = (how: string, more = "") => `
    [service.s]
    ${command("reloads", how)}
    ready = "notify"
    reload = { signal = "SIGHUP", timeout = "20s"${more} }`;

  test("is waited for, and may say RELOADING=1 before its first READY=1", async () => {
    const scene = await start({ config: config("well") });
    await scene.ready("s");
    const outcome = await scene.act("s", "reload");
    expect(outcome).toMatchObject({ result: "done", message: "1 worker of s reloaded" });
    const { workers } = await scene.service("s");
    expect(workers[0]).toMatchObject({ phase: "ready", statusText: "reloaded" });
    expect(workers[0]).not.toHaveProperty("reloading");
  });

  test("and never says so fails with a hint, unless that is not waited for", async () => {
    const scene = await start({ config: config("silent", "").replace("20s", "500ms") });
    await scene.ready("s");
    const outcome = await scene.act("s", "reload");
    expect(outcome).toMatchObject({ result: "timed-out", message: expect.stringContaining("reload.wait = false") });
    expect((await scene.holdfast.cli("reload", "s")).code).toBe(150);
    expect(await scene.service("s")).toMatchObject({ phase: "ready", restarts: 0 });

    const careless = await start({ config: config("silent", ", wait = false") });
    await careless.ready("s");
    expect(await careless.act("s", "reload")).toMatchObject({ result: "done", message: "SIGHUP was sent to 1 worker" });
  });

  test("and has said READY=1 once with ready.when = auto is not waited for in vain", async () => {
    const scene = await start({
      config: `
        [socket.x]
        listen = "unix://x"
        ${config("silent").replace('ready = "notify"', 'ready = "auto"\nsockets = ["x"]')}`,
    });
    await scene.ready("s");
    expect(await scene.act("s", "reload")).toMatchObject({ result: "done", message: "SIGHUP was sent to 1 worker" });
  });

  test("is told by a command, with its pid, and what that says when it fails", async () => {
    const script =
      'test "$HOLDFAST_WORKER" = s/1 && kill -HUP "$MAINPID" || exit 3; test ! -e broken || { echo broken; exit 4; }';
    const argv = JSON.stringify(["/bin/sh", "-c", script]);
    const scene = await start({ config: config("well").replace('signal = "SIGHUP"', `command = ${argv}`) });
    await scene.ready("s");
    expect(await scene.act("s", "reload")).toMatchObject({ result: "done", message: "1 worker of s reloaded" });
    writeFileSync(join(scene.directory, "broken"), "");
    expect(await scene.act("s", "reload")).toMatchObject({
      result: "failed",
      message: "s/1: /bin/sh exited with code 4: broken",
    });
    await scene.line("s", /^broken$/);
    expect(await scene.service("s")).toMatchObject({ phase: "ready", restarts: 0 });
  });

  test("and does not come to an end of it is shown as reloading", async () => {
    const scene = await start({ config: config("stuck").replace("20s", "700ms") });
    await scene.ready("s");
    const outcome = await scene.act("s", "reload");
    expect(outcome).toMatchObject({
      result: "timed-out",
      message: expect.stringContaining("READY=1 after RELOADING=1"),
    });
    expect((await scene.service("s")).workers[0]).toMatchObject({ phase: "ready", reloading: true });
    expect((await scene.holdfast.cli("status", "s")).stdout).toContain("(reloading)");
  });

  test("is not taken to have reloaded because of what was before the signal", async () => {
    const scene = await start({ config: config("stale").replace("20s", "700ms") });
    await scene.ready("s");
    expect(await scene.act("s", "reload")).toMatchObject({ result: "timed-out" });
  });

  test("gets the time that it asks for", async () => {
    const scene = await start({ config: config("slow").replace("20s", "300ms") });
    await scene.ready("s");
    const outcome = await scene.act("s", "reload");
    expect(outcome).toMatchObject({ result: "timed-out" });
    expect(outcome.durationMs).toBeGreaterThanOrEqual(1_500);
  });

  test("and ends instead has failed to", async () => {
    const scene = await start({ config: config("slow") });
    await scene.ready("s");
    const pid = await scene.pid("s");
    const reload = scene.act("s", "reload");
    await scene.line("s", /^reloads$/);
    process.kill(pid, "SIGKILL");
    expect(await reload).toMatchObject({
      result: "failed",
      message: "s/1 ended instead of reloading; `holdfast why s` tells how",
    });
  });

  test("and is replaced meanwhile has not failed: there was another command", async () => {
    const scene = await start({ config: config("slow") });
    await scene.ready("s");
    const reload = scene.act("s", "reload");
    await scene.line("s", /^reloads$/);
    expect(await scene.restart("s")).toMatchObject({ result: "done" });
    expect(await reload).toMatchObject({
      result: "superseded",
      message: "s/1 was asked to end, and did so before it had reloaded",
    });
  });
});
