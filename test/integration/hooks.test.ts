import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isRunning } from "./census.js";
import { command } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

/** A command that a shell reads in the folder of the configuration. */
const shell = (text: string): string => JSON.stringify(["/bin/sh", "-c", text.replaceAll("$", "$$$$")]);

/** A hook that writes down that it ran, for which worker, and what it was told. */
const records = (name: string): string =>
  shell(
    `echo "${name} $HOLDFAST_WORKER \${MAINPID:+of-a-process} \${SERVICE_RESULT-} \${EXIT_CODE-} \${EXIT_STATUS-}" >> life`,
  );

const EVERY = `before_start = [${records("before_start")}], after_start = [${records("after_start")}],
  before_stop = [${records("before_stop")}], after_stop = [${records("after_stop")}]`.replaceAll("\n", " ");

function life(scene: Scene, file = "life"): string[] {
  const path = join(scene.directory, file);
  return existsSync(path)
    ? readFileSync(path, "utf8")
        .trim()
        .split(/\s*\n/)
        .map((line) => line.replaceAll(/ +/g, " "))
    : [];
}

describe("the hooks of a worker", () => {
  test("run in the order of its life and are told how it ended", async () => {
    const scene = await start({
      config: `
      [service.web]
      ${command("never-ready")}
      ready = "spawned"
      hooks = { ${EVERY} }
      [service.broken]
      ${command("exits-with", "3")}
      ready = "notify"
      restart = "never"
      start = "manual"
      hooks = { after_stop = [${records("after_stop")}] }`,
    });
    await scene.ready("web");
    expect(life(scene)).toEqual(["before_start web/1", "after_start web/1 of-a-process"]);
    await scene.act("web", "stop");
    expect(life(scene).slice(2)).toEqual([
      "before_stop web/1 of-a-process success",
      "after_stop web/1 of-a-process success killed TERM",
    ]);
    const { result } = await scene.act("broken", "start");
    expect(result).toBe("failed");
    expect(life(scene).at(-1)).toBe("after_stop broken/1 of-a-process exit-code exited 3");
  });

  test("run for the successor while the worker before it serves, and a failing before_start leaves that as it is", async () => {
    const scene = await start({
      config: `
      [service.web]
      ${command("never-ready")}
      ready = "spawned"
      hooks = { before_start = [{ command = ${shell("test ! -e late || { echo it is too late; exit 4; }")} }, ${shell("exit 0")}] }`,
    });
    await scene.ready("web");
    const before = await scene.pid("web");
    writeFileSync(join(scene.directory, "late"), "");
    const refused = await scene.restart("web");
    expect(refused.result).toBe("rolled-back");
    expect(refused.message).toContain(
      "web/1 (worker 2) could not be started: before_start: /bin/sh exited with code 4: it is too late",
    );
    expect((await scene.holdfast.cli("why", "web")).stdout).toContain("before_start: /bin/sh exited with code 4");
    expect(await scene.pid("web")).toBe(before);
    rmSync(join(scene.directory, "late"));
    expect((await scene.restart("web")).result).toBe("done");
    expect(await scene.pid("web")).not.toBe(before);
  });

  test("fail a start that they are part of, unless they may fail or only follow it", async () => {
    const scene = await start({
      defaults: 'restart = "never"\nstart = "manual"\nready = "spawned"',
      config: `
      [service.strict]
      ${command("never-ready")}
      hooks = { after_start = [${shell("echo nobody listens; exit 5")}], after_stop = [${records("after_stop")}] }
      [service.slow]
      ${command("never-ready")}
      hooks = { before_start = [{ command = ${shell("sleep 3600")}, timeout = "100ms" }] }
      [service.lenient]
      ${command("never-ready")}
      hooks = { before_start = [{ command = ${shell("echo said; exit 6")}, may_fail = true }], before_stop = [${shell("exit 7")}], after_stop = [${shell("exit 8")}] }`,
    });
    const strict = await scene.act("strict", "start");
    expect(strict).toMatchObject({ result: "failed", failure: { code: "start-failed" } });
    expect(strict.message).toContain(
      "was ended again because it could not be started: after_start: /bin/sh exited with code 5: nobody listens",
    );
    expect(life(scene)).toEqual(["after_stop strict/1 of-a-process exit-code killed TERM"]);
    const slow = await scene.act("slow", "start");
    expect(slow.message).toContain("before_start: /bin/sh was not done within 100 ms");
    expect((await scene.act("lenient", "start")).result).toBe("done");
    expect((await scene.holdfast.cli("logs", "lenient")).stdout).toContain("said");
    expect((await scene.act("lenient", "stop")).result).toBe("done");
  });

  test("of a supervisor that was killed are ended, and begun again by the next one", async () => {
    const scene = await start({
      config: `
      [service.web]
      ${command("never-ready")}
      ready = "spawned"
      hooks = { before_start = [${shell("echo $$ >> life; test -e go || exec sleep 3600")}] }`,
    });
    await expect.poll(() => life(scene).length, { timeout: 20_000 }).toBe(1);
    expect((await scene.service("web")).workers).toMatchObject([{ phase: "starting", hook: "before_start" }]);
    writeFileSync(join(scene.directory, "go"), "");
    process.kill(await scene.supervisorPid(), "SIGKILL");
    await scene.ready("web");
    const [first, second, ...more] = life(scene);
    expect(second).toBeDefined();
    expect(more).toEqual([]);
    expect(isRunning(Number(first))).toBe(false);
  });

  test("are ended when their worker is not wanted any more", async () => {
    const scene = await start({
      config: `
      [service.web]
      ${command("never-ready")}
      ready = "spawned"
      hooks = { before_start = [${shell("echo $$ >> life; exec sleep 3600")}] }`,
    });
    await expect.poll(() => life(scene).length, { timeout: 20_000 }).toBe(1);
    expect((await scene.act("web", "stop")).result).toBe("done");
    expect(isRunning(Number(life(scene)[0]))).toBe(false);
    expect((await scene.service("web")).workers).toEqual([]);
  });
});

/** Nothing changes before an apply. */
function edit(scene: Scene, find: string | RegExp, put: string): void {
  const { file } = scene.holdfast;
  const before = readFileSync(file, "utf8");
  const after = before.replace(find, () => put);
  expect(after).not.toBe(before);
  writeFileSync(file, after);
}

describe("the check of a service", () => {
  const config = `
    [service.web]
    ${command("never-ready")}
    ready = "spawned"
    env = { BAD = "" }
    check = ${shell("test -z $BAD && test ! -e bad || { echo first; echo this is bad; exit 1; }")}`;

  test("refuses a restart before anything is touched, unless it is left out", async () => {
    const scene = await start({ config });
    await scene.ready("web");
    const pid = await scene.pid("web");
    writeFileSync(join(scene.directory, "bad"), "");
    const { code, stdout, stderr } = await scene.holdfast.cli("restart", "web");
    expect(code).toBe(1);
    expect(stdout + stderr).toContain("web was not restarted: its check /bin/sh exited with code 1: this is bad");
    expect(await scene.pid("web")).toBe(pid);
    expect((await scene.holdfast.cli("restart", "--no-check", "web")).code).toBe(0);
    expect(await scene.pid("web")).not.toBe(pid);
  });

  test("is asked of what goes along too, and a command that comes meanwhile counts more than the restart", async () => {
    const gate = shell("touch asked; while test -e held; do sleep 0.05; done; echo asked; test ! -e bad");
    const scene = await start({
      config: `
        [service.base]
        ${command("never-ready")}
        ready = "spawned"
        [service.web]
        ${command("never-ready")}
        ready = "spawned"
        part_of = ["base"]
        check = ${gate}`,
    });
    const [bad, held, asked] = ["bad", "held", "asked"].map((name) => join(scene.directory, name)) as [
      string,
      string,
      string,
    ];
    const restartHeld = async (): Promise<{ readonly answer: ReturnType<Scene["restart"]> }> => {
      rmSync(asked, { force: true });
      writeFileSync(held, "");
      const answer = scene.restart("web");
      await expect.poll(() => existsSync(asked), { timeout: 20_000 }).toBe(true);
      return { answer };
    };
    await scene.ready("base");
    await scene.ready("web");
    const pid = await scene.pid("base");
    writeFileSync(bad, "");
    const message = "base was not restarted: of web, which goes with it, its check /bin/sh exited with code 1: asked";
    for (const hard of [false, true]) {
      const outcome = await scene.restart("base", hard);
      expect(outcome).toMatchObject({ result: "failed", message: expect.stringContaining(message) });
    }
    expect(await scene.pid("base")).toBe(pid);
    await scene.line("web", /^asked$/);
    rmSync(bad);

    const stopped = await restartHeld();
    expect(await scene.act("web", "stop")).toMatchObject({ result: "done" });
    rmSync(held);
    expect(await stopped.answer).toMatchObject({
      result: "superseded",
      message: "web was stopped while its check ran",
    });
    expect(await scene.service("web")).toMatchObject({ phase: "stopped", workers: [] });

    const removed = await restartHeld();
    edit(scene, /\[service\.web\][\s\S]*/, "");
    expect((await scene.holdfast.cli("apply")).code).toBe(0);
    rmSync(held);
    expect(await removed.answer).toMatchObject({
      result: "superseded",
      message: "web was removed while its check ran",
    });
  });

  test("refuses an apply with what the files say, and asks nothing for what is live", async () => {
    const scene = await start({ config });
    await scene.ready("web");
    const pid = await scene.pid("web");
    edit(scene, 'BAD = ""', 'BAD = "yes"');
    const { code, stdout, stderr } = await scene.holdfast.cli("apply");
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("nothing was changed: of web, its check /bin/sh exited with code 1: this is bad");
    expect(await scene.pid("web")).toBe(pid);
    edit(scene, 'BAD = "yes"', 'BAD = ""');
    edit(scene, /check = .*/, 'check = "false"');
    expect((await scene.holdfast.cli("apply")).code).toBe(0);
    expect((await scene.restart("web")).message).toContain("its check false exited with code 1");
    expect(await scene.pid("web")).toBe(pid);
  });
});
