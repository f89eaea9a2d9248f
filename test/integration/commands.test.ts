import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { freePort, command as holdfastCommand } from "../../bench/lib/holdfast.mjs";
import { connect } from "./ask.js";
import { command } from "./fixture.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

/** A service in each state that a command may find. */
async function everyState(): Promise<Scene> {
  const port = await freePort();
  const scene = await start({
    config: `
      [socket.s]
      listen = ["tcp://127.0.0.1:${port}"]
      [service.web-one]
      ${command("answers-pid")}
      sockets = ["s"]
      ready = "notify"
      [service.web-two]
      ${command("never-ready")}
      ready = "notify"
      [socket.waits]
      listen = ["unix://waits.sock"]
      [service.waits]
      ${command("answers-pid")}
      sockets = ["waits"]
      start = "connection"
      [service.manual]
      ${command("never-ready")}
      start = "manual"
      [service.broken]
      ${command("exits-with", "3")}
      restart = "never"`,
  });
  await scene.ready("web-one");
  await scene.event("halted", "broken");
  await scene.event("worker-started", "web-two");
  return scene;
}

/** A command that is not told where the control socket is, unless by the environment. */
async function bare(args: string[], env: Record<string, string> = {}) {
  const child = execFile(process.execPath, [holdfastCommand, ...args], { env: { ...process.env, ...env } });
  let stderr = "";
  child.stderr!.on("data", (text) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  return { code, stderr };
}

describe("the exit code", () => {
  test("answers questions: 0 yes, 3 no, 4 unknown", async () => {
    const { holdfast } = await everyState();
    const codes = async (...args: string[]) => (await holdfast.cli(...args)).code;
    const asked = await Promise.all([
      codes("status", "web-one"),
      codes("status", "web-two"),
      codes("status", "waits"),
      codes("status", "broken"),
      codes("status", "nobody"),
      codes("is-ready", "web-one"),
      codes("is-ready", "web-two"),
      codes("is-ready", "nobody"),
    ]);
    expect(asked).toEqual([0, 0, 3, 3, 4, 0, 3, 4]);
  });

  test("tells what became of an action", async () => {
    const scene = await everyState();
    const { holdfast } = scene;
    const codes = async (...args: string[]) => (await holdfast.cli(...args)).code;
    const asked = await Promise.all([
      codes("stop", "nobody"),
      codes("restart"),
      codes("restart", "web-one", "--no-such-option"),
      codes("scale", "web-one=0"),
      codes("signal", "manual", "HUP"),
      codes("signal", "web-one", "SIGNOPE"),
      codes("wait", "web-two", "--timeout", "100ms"),
      codes("wait", "web-one", "--for", "ready"),
      codes("wait", "manual", "--for", "stopped"),
      codes("start", "broken"),
      codes("restart", "web-two", "--timeout", "100ms"),
      codes("start", "web-one"),
    ]);
    expect(asked).toEqual([5, 2, 2, 2, 7, 2, 150, 0, 0, 1, 150, 0]);
  });

  test("is 151 where no supervisor runs, with how to start one", async () => {
    const { code, stderr } = await bare(["ls", "--control", "/nowhere/control.sock"]);
    expect({ code, stderr }).toMatchObject({ code: 151, stderr: expect.stringContaining("holdfast run") });
  });

  test("is 6 for a wrong configuration, with each error and its place, and a running supervisor keeps what it has", async () => {
    const scene = await everyState();
    const before = await scene.pid("web-one");
    const file = join(scene.directory, "wrong.toml");
    writeFileSync(file, 'version = 1\n[service.web]\ncomand = ["x"]\nworkers = 0\n');
    for (const args of [["check"], ["run"]]) {
      const { code, stderr } = await bare([...args, "-c", file]);
      expect(code).toBe(6);
      expect(stderr).toContain(`${file}:3:1: service.web.comand: `);
      expect(stderr).toContain('did you mean "command"');
      expect(stderr).toContain(`${file}:4:11: service.web.workers: `);
    }
    expect(await scene.pid("web-one")).toBe(before);
  });
});

describe("a command", () => {
  test("finds the supervisor by -c and by HOLDFAST_CONTROL too", async () => {
    const { holdfast } = await everyState();
    expect(await bare(["status", "web-one", "-c", holdfast.file])).toMatchObject({ code: 0 });
    expect(await bare(["status", "web-one"], { HOLDFAST_CONTROL: holdfast.control })).toMatchObject({ code: 0 });
  });

  test("takes patterns and several names, and acts on each", async () => {
    const scene = await everyState();
    await scene.holdfast.run("stop", "web-*", "broken");
    const { services } = await scene.holdfast.get("/v1/services");
    const phases = Object.fromEntries(
      services.map(({ name, phase }: { name: string; phase: string }) => [name, phase]),
    );
    expect(phases).toEqual({
      "web-one": "stopped",
      "web-two": "stopped",
      waits: "waiting",
      manual: "stopped",
      broken: "stopped",
    });
  });

  test("prints a plain table for people, and the views as JSON and JSON lines for programs", async () => {
    const scene = await everyState();
    const { holdfast } = scene;
    const pid = await scene.pid("web-one");
    const [table, json, jsonl, sockets, status, self] = await Promise.all([
      holdfast.run("ls"),
      holdfast.json("ls"),
      holdfast.run("ls", "-o", "jsonl"),
      holdfast.json("sockets"),
      holdfast.json("status", "web-one"),
      holdfast.json("self", "status"),
    ]);
    expect(table).toMatch(new RegExp(`^web-one +ready +1/1 .* ${pid} +s( |$)`, "m"));
    expect(table).not.toContain("\u001b");
    expect(json.services.map(({ name }: { name: string }) => name)).toEqual([
      "web-one",
      "web-two",
      "waits",
      "manual",
      "broken",
    ]);
    const lines = jsonl
      .trimEnd()
      .split("\n")
      .map((line: string) => Object.keys(JSON.parse(line))[0]);
    expect(lines).toEqual([...Array(5).fill("service"), ...Array(2).fill("socket")]);
    expect(sockets).toMatchObject([{ name: "s", bound: true, services: ["web-one"] }, { name: "waits" }]);
    expect(status).toMatchObject({ name: "web-one", phase: "ready", workers: [{ pid }] });
    expect(self).toMatchObject({
      pid: await scene.supervisorPid(),
      keeperPid: holdfast.keeperPid,
      starts: 1,
      control: holdfast.control,
    });
  });

  test("says why a service failed: exit code, last words, what comes next", async () => {
    const { holdfast } = await everyState();
    const [text, json] = await Promise.all([holdfast.run("why", "broken"), holdfast.json("why", "broken")]);
    expect(text).toMatch(/broken has failed and is not started again/);
    expect(text).toMatch(/exited with code 3/);
    expect(text).toMatch(/\| about to exit with 3/);
    expect(text).toMatch(/holdfast start/);
    expect(json).toMatchObject({ phase: "failed", lastFailure: { code: "exited", exitCode: 3 } });
  });

  test("waits for a state that comes later", async () => {
    const scene = await everyState();
    const waiting = scene.holdfast.cli("wait", "waits", "--for", "running", "--timeout", "20s");
    await connect({ path: join(scene.directory, "waits.sock") });
    expect(await waiting).toMatchObject({ code: 0 });
  });

  test("follows the events as they come, until Ctrl-C", async () => {
    const scene = await everyState();
    const args = [holdfastCommand, "events", "-f", "-n", "1", "-o", "jsonl", "--control", scene.holdfast.control];
    const follower = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: follower.stdout })[Symbol.asyncIterator]();
    await lines.next(); // The last one before: it follows from here on.
    await scene.act("web-one", "stop");
    const seen: string[] = [];
    while (seen.at(-1) !== "stopped") seen.push(JSON.parse((await lines.next()).value).type);
    expect(seen).toEqual(["draining", "stopping", "worker-ended", "stopped"]);
    follower.kill("SIGINT");
    expect(await once(follower, "exit")).toEqual([130, null]);
  });
});
