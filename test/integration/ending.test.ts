import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort, command as holdfastCommand } from "../../bench/lib/holdfast.mjs";
import { ask } from "./ask.js";
import { isRunning } from "./census.js";
import { command } from "./fixture.js";
import { scenes } from "./scene.js";

const { start } = scenes();
const host = "127.0.0.1";

async function canListen(port: number): Promise<void> {
  const server = createServer().listen(port, host);
  await once(server, "listening");
  server.close();
  await once(server, "close");
}

describe("holdfast run", () => {
  test.each(["SIGTERM", "SIGINT", "SIGQUIT"] as const)("at %s stops every service and ends with 0", async (signal) => {
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}", "unix://s.sock"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        workers = 2
        ready = "notify"
        [service.forks]
        ${command("double-forks")}
        stop.timeout = "300ms"
        [service.waits]
        ${command("answers-pid")}
        sockets = ["s"]
        start = "connection"
        [service.loops]
        ${command("exits-with", "1")}`,
    });
    await scene.ready("web");
    const left = Number(/\d+/.exec((await scene.line("forks", /^left/)).text)?.[0]);
    scene.holdfast.remember();
    process.kill(scene.holdfast.keeperPid!, signal);
    await scene.ended();

    expect(isRunning(left)).toBe(false);
    await canListen(port);
    expect(existsSync(join(scene.directory, "s.sock"))).toBe(false);
  });

  test("at a second SIGINT does not wait for a worker that ignores its stop signal", async () => {
    const scene = await start({
      config: `
        [service.stubborn]
        ${command("ignores-term")}
        stop.timeout = "1h"`,
    });
    await scene.line("stubborn", /running as/);
    const pid = await scene.pid("stubborn");
    scene.holdfast.remember();
    process.kill(scene.holdfast.keeperPid!, "SIGINT");
    await scene.event("stopping", "stubborn");
    expect(isRunning(pid)).toBe(true);
    process.kill(scene.holdfast.keeperPid!, "SIGINT");
    scene.expectExit(130);
    await scene.ended();
    expect(isRunning(pid)).toBe(false);
  });

  test("at SIGHUP, which has no meaning yet, says so and goes on", async () => {
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://${host}:${port}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"`,
    });
    await scene.ready("web");
    process.kill(scene.holdfast.keeperPid!, "SIGHUP");
    await expect.poll(() => scene.holdfast.output).toContain("SIGHUP has no meaning");
    expect(await ask({ host, port })).toBe(`${await scene.pid("web")}\n`);
  });

  test("does not start beside another one with the same control socket, which goes on", async () => {
    const scene = await start({ config: `[service.web]\n${command("never-ready")}` });
    const before = await scene.pid("web");
    const second = execFile(process.execPath, [holdfastCommand, "run", "-c", scene.holdfast.file]);
    let said = "";
    second.stderr!.on("data", (text) => {
      said += text;
    });
    expect(await once(second, "close")).toEqual([1, null]);
    expect(said).toContain(`a supervisor runs already on ${scene.holdfast.control}`);
    expect(said).toContain(`pid ${await scene.supervisorPid()}`);
    expect(await scene.pid("web")).toBe(before);
  });
});
