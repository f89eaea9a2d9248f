import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { command } from "./fixture.js";
import { askHttp } from "./http-client.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();

async function serve(program: string, more = ""): Promise<{ scene: Scene; to: { host: string; port: number } }> {
  const to = { host: "127.0.0.1", port: await freePort() };
  const config = `
    [socket.s]
    listen = ["tcp://127.0.0.1:${to.port}"]
    [service.web]
    ${program}
    sockets = ["s"]
    ${more}`;
  const scene = await start({ config });
  if (more === "") await scene.ready("web");
  return { scene, to };
}

async function pause({ holdfast }: Scene, ...args: string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await holdfast.cli("pause", "s", ...args);
  return { code, said: stdout + stderr };
}

async function isPaused(scene: Scene): Promise<boolean> {
  return (await scene.socket("s")).pausedUntil !== undefined;
}

describe("a paused socket", () => {
  test("lets connections wait until it goes on, and then serves them", async () => {
    const { scene, to } = await serve(command("serves-http"));
    expect(await pause(scene)).toMatchObject({ code: 0, said: /^socket s is paused for at most 30 s/ });
    const asked = askHttp(to);
    await until("it waits", async () => (await scene.socket("s")).queued === 1);
    const { code, stdout } = await scene.holdfast.cli("resume", "s");
    expect([code, stdout]).toEqual([0, "socket s goes on\n"]);
    expect(await asked).toBe(await scene.pid("web"));
    expect((await scene.holdfast.cli("resume", "s")).stdout).toBe("socket s was not paused\n");
  });

  test("goes on by itself, also when the supervisor was killed meanwhile", async () => {
    const { scene, to } = await serve(command("serves-http"));
    const pid = await scene.pid("web");
    await pause(scene, "--max", "4s");
    const asked = askHttp(to);
    process.kill(await scene.supervisorPid(), "SIGKILL");
    await until("the next supervisor knows of it", () => isPaused(scene));
    expect((await scene.socket("s")).queued).toBe(1);
    expect(await asked).toBe(pid);
    expect(await isPaused(scene)).toBe(false);
  });

  test("starts nothing: what waits starts a worker once it goes on", async () => {
    const { scene, to } = await serve(command("serves-http"), 'start = "connection"');
    await until("it is armed", async () => (await scene.service("web")).phase === "waiting");
    await pause(scene);
    const asked = askHttp(to);
    await until("it waits", async () => (await scene.socket("s")).queued === 1);
    expect(await scene.service("web")).toMatchObject({ phase: "blocked", workers: [] });
    expect(await scene.restart("web")).toMatchObject({ result: "failed", message: /socket s is paused/ });
    await scene.holdfast.cli("resume", "s");
    expect(await asked).toBe(await scene.pid("web"));
  });

  test("is not waited for by an apply that would replace its workers", async () => {
    const { scene, to } = await serve(command("serves-http"));
    const pid = await scene.pid("web");
    await pause(scene);
    const { file } = scene.holdfast;
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("[service.web]", '[service.web]\nenv = { A = "1" }'));
    const { code, stderr } = await scene.holdfast.cli("apply");
    expect([code, stderr]).toEqual([
      152,
      expect.stringMatching(/cannot be replaced: socket s is paused; `holdfast resume s`/),
    ]);
    await scene.holdfast.cli("resume", "s");
    expect((await scene.holdfast.cli("apply")).code).toBe(0);
    expect(await askHttp(to)).not.toBe(pid);
  });

  test("is refused, in words, where a worker cannot be kept from accepting, and nothing changes", async () => {
    const { scene, to } = await serve(command("serves-http-blocking"));
    expect(await pause(scene)).toMatchObject({ code: 1, said: /cannot be paused: .* waits in accept4?\(2\)/ });
    expect(await isPaused(scene)).toBe(false);
    expect(await askHttp(to)).toBe(await scene.pid("web"));
  });

  test("has a name that is configured", async () => {
    const { scene } = await serve(command("serves-http"));
    const { code, stderr } = await scene.holdfast.cli("pause", "t");
    expect([code, stderr]).toEqual([5, 'holdfast: there is no socket "t"\n']);
  });
});
