import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort, command as holdfastCommand } from "../../bench/lib/holdfast.mjs";
import { startLoad } from "../../bench/load.mjs";
import { ask } from "./ask.js";
import { descriptorCount, isRunning, noMoreThan } from "./census.js";
import { command } from "./fixture.js";
import { itself } from "./itself.js";
import { type SceneOptions, scenes } from "./scene.js";

const { start } = scenes();
const uid = 64123;
const asSomebody = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];

/** The whole of Holdfast as a user that has no name and no rights. */
function unprivileged(options: SceneOptions) {
  return start({
    ...options,
    prefix: asSomebody,
    env: { HOME: "/nonexistent" },
    prepare: (directory) => chownSync(directory, uid, uid),
  });
}

async function run(args: string[]): Promise<{ code: number; stderr: string }> {
  const [program, ...rest] = [...asSomebody, process.execPath, holdfastCommand, ...args];
  const child = execFile(program!, rest);
  let stderr = "";
  child.stderr!.on("data", (text) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  return { code, stderr };
}

describe.runIf(process.getuid?.() === 0)("holdfast as an unprivileged user", () => {
  test("loses nothing with its keeper, also where each worker has a socket of its own", async () => {
    const port = await freePort();
    const scene = await unprivileged({
      config: `
        [socket.s]
        listen = ["tcp://127.0.0.1:${port}"]
        distribution = "steered"
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        workers = 3
        ready = "notify"`,
    });
    await scene.ready("web");
    const pids = await scene.holdfast.workerPids("web");
    const load = startLoad({ target: { host: "127.0.0.1", port }, protocol: "line", rate: 100 });
    expect((await scene.holdfast.killKeeper()).keeperDeath).toMatch(/took over 3 workers and 3 sockets/);
    expect(statSync(`/proc/${scene.holdfast.keeperPid}`).uid).toBe(uid);
    expect(await scene.holdfast.workerPids("web")).toEqual(pids);
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    expect(await load.stop()).toMatchObject({ failed: 0 });
    expect(pids.filter(isRunning)).toEqual([]);
    // How they ended was seen all the same.
    expect(scene.holdfast.output).not.toContain("nobody saw how it ended");
  });

  test("activates, restarts, kills trees and stops as it does for root", async () => {
    const port = await freePort();
    const scene = await unprivileged({
      config: `
        [socket.s]
        listen = ["tcp://127.0.0.1:${port}", "unix://s.sock"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        start = "connection"
        ready = "notify"
        [service.forks]
        ${command("double-forks")}
        stop.timeout = "300ms"`,
    });
    const supervisor = await scene.supervisorPid();
    const census = () => [descriptorCount(scene.holdfast.keeperPid!), descriptorCount(supervisor)];
    for (const pid of [scene.holdfast.keeperPid!, supervisor]) expect(statSync(`/proc/${pid}`).uid).toBe(uid);

    const first = await ask({ path: join(scene.directory, "s.sock") });
    expect(statSync(`/proc/${Number(first)}`).uid).toBe(uid);
    // Once all is there: news that come later bring descriptors.
    for (const service of ["web", "forks"]) await scene.event("worker-ready", service);
    const before = census();
    process.kill(Number(first), "SIGKILL");
    const second = await ask({ host: "127.0.0.1", port });
    await scene.ready("web");
    expect(await scene.restart("web")).toMatchObject({ result: "done" });
    expect(await ask({ host: "127.0.0.1", port })).not.toBe(second);
    await expect.poll(census).toEqual(noMoreThan(before));

    const grandchild = Number(/\d+/.exec((await scene.line("forks", /^left/)).text)?.[0]);
    await scene.act("forks", "stop");
    expect(isRunning(grandchild)).toBe(false);
  });

  test("gives its workers what it has, and sets what anybody may", async () => {
    const scene = await unprivileged({
      config: `
        [service.worker]
        ${command("shows-itself")}
        umask = "0077"
        nice = 3
        limits = { nofile = 128, core = 0 }
        oom_score_adjust = 500`,
    });
    const self = await itself(scene, "worker");
    expect(self).toMatchObject({
      uids: [uid, uid, uid],
      gids: [uid, uid, uid],
      groups: [],
      umask: 0o077,
      nice: 3,
      oom_score_adjust: 500,
      limits: { nofile: [128, 128], core: [0, 0] },
    });
  });

  test("lets in root and its own user, and nobody else", async () => {
    const scene = await unprivileged({
      config: `[service.web]\n${command("never-ready")}`,
      supervisor: 'control_mode = "0666"',
    });
    chmodSync(scene.directory, 0o755); // mkdtemp(3) made it 0700.
    const ls = [process.execPath, holdfastCommand, "ls", "--control", scene.holdfast.control];
    const as = async (id: number) => {
      const child = execFile("setpriv", ["--reuid", String(id), "--regid", String(id), "--clear-groups", ...ls]);
      return (await once(child, "close"))[0];
    };
    expect(await scene.holdfast.cli("ls")).toMatchObject({ code: 0 });
    expect(await as(uid)).toBe(0);
    expect(await as(uid + 1)).toBe(4);
  });

  test("refuses a configuration that asks for what only root may do, all of it at once", async () => {
    const scene = await unprivileged({ config: `[service.web]\n${command("never-ready")}` });
    const file = join(scene.directory, "other.toml");
    writeFileSync(
      file,
      'version = 1\n[service.web]\ncommand = ["true"]\nuser = "root"\ngroups = ["adm"]\nnice = -5\n[service.x]\ncommand = ["true"]\nuser = "root"\n',
    );
    const { code, stderr } = await run(["run", "-c", file]);
    expect(code).toBe(6);
    for (const place of [
      "4:8: service.web.user",
      "5:10: service.web.groups",
      "6:8: service.web.nice",
      "9:8: service.x.user",
    ]) {
      expect(stderr).toContain(`${file}:${place}: only root may`);
    }
  });
});
