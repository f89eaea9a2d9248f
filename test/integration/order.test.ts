import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../bench/lib/until.mjs";
import { command } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();
const daemon = `${command("tells-its-life", "life")}\nready = "newline"`;
const task = `${command("task", "life", "status")}\ntype = "task"`;

/** What the services have written of themselves, in order. */
function life(scene: Scene): string[] {
  return readFileSync(join(scene.directory, "life"), "utf8").trim().split("\n");
}

const status =
  (text: string) =>
  (directory: string): Promise<void> =>
    writeFile(join(directory, "status"), `${text}\n`);

async function killSupervisor(scene: Scene): Promise<void> {
  const supervisor = await scene.supervisorPid();
  process.kill(supervisor, "SIGKILL");
  await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== supervisor);
}

const migration = `
[service.web]
${daemon}
after = { migrate = "completed" }
[service.migrate]
${task}
requires = "db"
[service.db]
${daemon}
`;

describe("a service after a task", () => {
  test("waits until that has succeeded, says so, and goes last in and first out", async () => {
    const scene = await start({ config: migration, prepare: status("3") });
    const { holdfast } = scene;
    await scene.event("halted", "migrate");
    expect(await scene.service("web")).toMatchObject({ phase: "pending", awaits: [{ service: "migrate" }] });
    expect((await holdfast.cli("why", "web")).stdout).toContain("web waits for migrate, which failed with status 3");
    expect(await holdfast.cli("start", "web")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("web waits for migrate, which failed with status 3"),
    });
    expect(await holdfast.cli("start", "migrate")).toMatchObject({ code: 1 });
    expect(life(scene)).toEqual(["db up", "migrate ran", "migrate ran"]);

    await status("0")(scene.directory);
    expect(await holdfast.cli("start", "migrate")).toMatchObject({
      code: 0,
      stdout: /^migrate: migrate has completed/,
    });
    expect(await holdfast.cli("wait", "migrate", "--for", "completed")).toMatchObject({ code: 0 });
    await scene.ready("web");
    expect(await holdfast.cli("wait", "web", "--for", "completed")).toMatchObject({ code: 2 });
    expect((await holdfast.cli("ls")).stdout).toMatch(/^migrate +completed/m);

    // Another supervisor knows what has completed.
    const pid = await scene.pid("web");
    await killSupervisor(scene);
    expect(await scene.service("migrate")).toMatchObject({ type: "task", phase: "completed" });
    expect(await scene.pid("web")).toBe(pid);
    expect(life(scene)).toEqual(["db up", "migrate ran", "migrate ran", "migrate ran", "web up"]);

    process.kill(holdfast.keeperPid!, "SIGTERM");
    await scene.ended();
    expect(life(scene).slice(-2)).toEqual(["web down", "db down"]);
  });

  test("begins once, also if the supervisor is killed in between", async () => {
    const prepare = (directory: string) => execFileSync("mkfifo", [join(directory, "status")]);
    const scene = await start({ config: migration, prepare });
    await scene.event("worker-started", "migrate");
    await killSupervisor(scene);
    expect(await scene.service("web")).toMatchObject({ phase: "pending" });
    expect(await scene.service("migrate")).toMatchObject({ phase: "running", workers: [{ phase: "running" }] });
    await status("0")(scene.directory);
    await scene.ready("web");
    expect(life(scene)).toEqual(["db up", "migrate ran", "web up"]);
  });

  test("is changed by an apply after it; if that fails, nothing is changed", async () => {
    const scene = await start({ config: migration, prepare: status("0") });
    await scene.ready("web");
    const pid = await scene.pid("web");
    const edit = (env: string): Promise<void> =>
      writeFile(
        scene.holdfast.file,
        readFileSync(scene.holdfast.file, "utf8").replaceAll(
          /(\[service\.(?:web|migrate)\]\n)(env = .*\n)?/g,
          `$1${env}\n`,
        ),
      );
    await status("4")(scene.directory);
    await edit('env = { VERSION = "2" }');
    const failed = await scene.holdfast.cli("apply");
    expect(failed).toMatchObject({
      code: 152,
      stderr: expect.stringMatching(/because of migrate: .*exited with code 4/),
    });
    expect(await scene.pid("web")).toBe(pid);
    expect(await scene.service("migrate")).toMatchObject({ phase: "completed" });

    await status("0")(scene.directory);
    expect(await scene.holdfast.cli("apply")).toMatchObject({ code: 0 });
    const runs = life(scene);
    expect(runs.filter((line) => line === "migrate ran")).toHaveLength(3);
    expect(runs.slice(-3)).toEqual(["migrate ran", "web up", "web down"]);
  });
});

describe("a service that depends on another", () => {
  const suite = `
[service.tunnel]
${daemon}
[service.app]
${daemon}
binds_to = "tunnel"
conflicts = "maintenance"
[service.part]
${daemon}
part_of = "tunnel"
[service.maintenance]
${daemon}
start = "manual"
[service.doomed]
${command("exits-with", "3")}
start = "manual"
restart = "never"
on_failure = "mail"
[service.mail]
${task}
start = "manual"
`;

  test("goes with it, and the answer says who else was reached", async () => {
    const scene = await start({ config: suite, prepare: status("0") });
    const { holdfast } = scene;
    await Promise.all(["tunnel", "app", "part"].map((name) => scene.ready(name)));

    // It ends by itself: what is bound to it ends, and comes back with it; nobody else is touched.
    const part = await scene.pid("part");
    const before = life(scene).length;
    const mark = await scene.now();
    process.kill(await scene.pid("tunnel"), "SIGKILL");
    await scene.event("worker-ready", "app", mark);
    expect(
      life(scene)
        .slice(before)
        .filter((line) => line.startsWith("app")),
    ).toEqual(["app down", "app up"]);
    expect(await scene.pid("part")).toBe(part);

    const hard = await holdfast.cli("restart", "tunnel", "--hard");
    expect(hard).toMatchObject({ code: 0 });
    expect(hard.stdout).toContain("with it");
    expect(hard.stdout).toContain("app is restarted");
    expect(hard.stdout).toContain("part is restarted");
    await Promise.all(["app", "part"].map((name) => scene.ready(name)));
    const lines = life(scene);
    expect(lines.lastIndexOf("app down")).toBeLessThan(lines.lastIndexOf("tunnel down"));
    expect(lines.lastIndexOf("tunnel up")).toBeLessThan(lines.lastIndexOf("app up"));

    // One of two that conflict.
    expect((await holdfast.cli("start", "maintenance")).stdout).toContain("app is stopped");
    expect(life(scene).slice(-2)).toEqual(["app down", "maintenance up"]);
    expect((await holdfast.cli("start", "app")).stdout).toContain("maintenance is stopped");
    expect(life(scene).slice(-2)).toEqual(["maintenance down", "app up"]);

    // Failed for good: somebody is told.
    expect(await holdfast.cli("start", "doomed")).toMatchObject({ code: 1 });
    await scene.event("completed", "mail");
    expect(await scene.event("started-for-failure", "mail")).toMatchObject({
      message: "mail is started, because doomed has failed",
    });

    const stop = await holdfast.cli("stop", "tunnel");
    expect(stop.stdout).toContain("app is stopped");
    expect(stop.stdout).toContain("part is stopped");
    expect(await scene.service("app")).toMatchObject({ phase: "stopped" });
    expect((await holdfast.cli("start", "app")).stdout).toContain("tunnel is started");
    expect(life(scene).slice(-2)).toEqual(["tunnel up", "app up"]);
    await holdfast.cli("stop", "tunnel", "app");
    expect(life(scene).slice(-2)).toEqual(["app down", "tunnel down"]);
  });
});

test("what an apply adds begins in order, what it removes ends in order, and what is in the way stops", async () => {
  const day = `[service.day]\n${daemon}\nstart = "manual"\n`;
  const scene = await start({ config: day });
  const { holdfast } = scene;
  const before = readFileSync(holdfast.file, "utf8");
  expect(await holdfast.cli("start", "day")).toMatchObject({ code: 0 });
  const more = `
[service.top]
${daemon}
requires = "middle"
[service.middle]
${daemon}
[service.night]
${daemon}
conflicts = "day"
`;
  await writeFile(holdfast.file, before + more);
  expect(await holdfast.cli("apply")).toMatchObject({ code: 0 });
  const lines = life(scene);
  expect(lines.indexOf("middle up")).toBeLessThan(lines.indexOf("top up"));
  expect(lines.indexOf("day down")).toBeGreaterThan(0);
  expect(lines.indexOf("day down")).toBeLessThan(lines.indexOf("night up"));

  // What comes first cannot be had, so nothing is changed.
  const broken = `[service.late]\n${daemon}\nrequires = "broken"\n[service.broken]\n${command("exits-with", "3")}\nready = "notify"\n`;
  await writeFile(holdfast.file, before + more + broken);
  expect(await holdfast.cli("apply")).toMatchObject({
    code: 152,
    stderr: expect.stringContaining("because of broken"),
  });
  expect(life(scene)).toEqual(lines);

  // What it has stopped, or started, for others goes back as well.
  const evening = `[service.evening]\n${command("exits-with", "3")}\nready = "notify"\nconflicts = "day"\nwants = "spare"\n`;
  const spare = `[service.spare]\n${daemon}\nstart = "manual"\n`;
  const alone = before + more.slice(0, more.indexOf("[service.night]")) + spare;
  await writeFile(holdfast.file, alone);
  expect(await holdfast.cli("apply")).toMatchObject({ code: 0 });
  expect(await holdfast.cli("start", "day")).toMatchObject({ code: 0 });
  const free = life(scene).length;
  await writeFile(holdfast.file, alone + evening);
  const tried = await holdfast.cli("apply");
  expect(tried).toMatchObject({ code: 152 });
  expect(tried.stdout).toMatch(/evening .* is started, and stops day first/);
  expect(life(scene).slice(free).toSorted()).toEqual(["day down", "day up", "spare down", "spare up"]);
  expect(await holdfast.cli("is-ready", "day")).toMatchObject({ code: 0 });

  // What it needs from now on is started first, instead of ending what is bound to it.
  const pid = await scene.pid("top");
  await writeFile(holdfast.file, alone.replace('requires = "middle"', 'requires = "middle"\nbinds_to = "spare"'));
  expect((await holdfast.cli("apply")).stdout).toContain("its workers stay, and what it needs is started first");
  expect(await scene.service("spare")).toMatchObject({ phase: "ready" });
  expect(await scene.pid("top")).toBe(pid);

  lines.splice(0, lines.length, ...life(scene));
  await writeFile(holdfast.file, before);
  expect(await holdfast.cli("apply")).toMatchObject({ code: 0 });
  const removed = life(scene).slice(lines.length);
  expect(removed.indexOf("top down")).toBeLessThan(removed.indexOf("middle down"));
  expect(removed.toSorted()).toEqual(["middle down", "spare down", "top down"]);
});
