import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ask } from "./ask.js";
import { command } from "./fixture.js";
import { itself } from "./itself.js";
import { replaceSupervisor } from "./notify/saying.js";
import { scenes } from "./scene.js";

const { start } = scenes();
const nobody = Number(execFileSync("id", ["-u", "nobody"]));
const uid = 64123;
const asSomebody = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];

const KINDS = ["runtime", "state", "cache", "logs", "configuration"] as const;
const SYSTEM = ["/run", "/var/lib", "/var/cache", "/var/log", "/etc"];
const name = `holdfast-test-${randomBytes(6).toString("hex")}`;
const system = SYSTEM.map((base) => join(base, name));

afterEach(() => {
  for (const path of system) rmSync(path, { recursive: true, force: true });
});

const allKinds = (value: string) => KINDS.map((kind) => `${kind}_directory = ${value}`).join("\n");
const modeOf = (path: string) => statSync(path).mode & 0o7777;

describe.runIf(process.getuid?.() === 0)("the folders of a service", () => {
  test("are its user's, and known to it; the runtime one goes when it stops, and not before", async () => {
    const scene = await start({
      config: `[service.s]\n${command("shows-itself")}\nuser = "nobody"\n${allKinds(`{ names = "${name}", mode = "0750" }`)}`,
    });
    const { environment } = await itself(scene, "s");
    expect(KINDS.map((kind) => environment[`${kind.toUpperCase()}_DIRECTORY`])).toEqual(system);
    expect(system.map((path) => statSync(path).uid)).toEqual([nobody, nobody, nobody, nobody, 0]);
    expect(system.map(modeOf)).toEqual(system.map(() => 0o750));

    for (const path of system) writeFileSync(join(path, "kept"), "");
    await replaceSupervisor(scene);
    const pid = await scene.pid("s");
    process.kill(pid, "SIGKILL");
    await expect.poll(() => scene.pid("s").catch(() => pid), { timeout: 20_000 }).not.toBe(pid);
    expect(existsSync(join(system[0]!, "kept"))).toBe(true);
    await scene.act("s", "stop");
    expect(system.map((path) => existsSync(path))).toEqual([false, true, true, true, true]);
    expect(existsSync(join(system[1]!, "kept"))).toBe(true);
    await scene.act("s", "start");
    await scene.ready("s");
    expect(readdirSync(system[0]!)).toEqual([]);
    await scene.act("s", "stop");
    await expect.poll(() => readdirSync("/run").filter((entry) => entry.includes(name))).toEqual([]);
  });

  test("are not made behind a link that its user has put in their place", async () => {
    const [runtime, state] = system as [string, string];
    mkdirSync(state);
    mkdirSync(runtime);
    chownSync(runtime, nobody, nobody);
    symlinkSync(state, join(runtime, "sub"));
    const scene = await start({
      config: `
        [service.s]
        ${command("shows-itself")}
        user = "nobody"
        runtime_directory = ["${name}", "${name}/sub"]
        restart = "never"`,
    });
    await scene.event("halted", "s");
    const { lastFailure } = await scene.service("s");
    expect(lastFailure).toMatchObject({ code: "start-failed", stage: "prepare", errno: "ENOTDIR" });
    expect(lastFailure?.message).toContain(`runtime_directory: ${runtime}/sub cannot be used`);
    expect(statSync(state).uid).toBe(0);
  });

  test("are there for each connection, until it takes no more of them", async () => {
    const scene = await start({
      config: `
        [socket.a]
        listen = "unix://a.sock"
        accept = true
        [service.c]
        command = ["/bin/sh", "-c", "stat -c %a,$RUNTIME_DIRECTORY $RUNTIME_DIRECTORY"]
        sockets = "a"
        stdio = "socket"
        runtime_directory = { names = "${name}", mode = "0700" }`,
    });
    expect((await ask({ path: join(scene.directory, "a.sock") })).trim()).toBe(`700,${system[0]}`);
    await scene.act("c", "stop");
    expect(existsSync(system[0]!)).toBe(false);
  });

  test("are there for its hooks, before a start and after the end", async () => {
    const scene = await start({
      config: `
        [service.h]
        ${command("never-ready")}
        ready = "spawned"
        runtime_directory = "${name}"
        [service.h.hooks]
        before_start = [["/bin/sh", "-c", "echo made > $RUNTIME_DIRECTORY/by-hook"]]
        after_stop = [["/bin/sh", "-c", "cp $RUNTIME_DIRECTORY/by-hook seen"]]`,
    });
    await scene.ready("h");
    await scene.act("h", "stop");
    expect(existsSync(join(scene.directory, "seen"))).toBe(true);
    await expect.poll(() => existsSync(system[0]!)).toBe(false);
  });

  test("of a user's supervisor are the user's own, where basedir-spec has them", async () => {
    const home = mkdtempSync(join(tmpdir(), "holdfast-home-"));
    try {
      chownSync(home, uid, uid);
      const runtime = join(home, "run");
      mkdirSync(runtime);
      chownSync(runtime, uid, uid);
      const scene = await start({
        prefix: [...asSomebody, "env", "-u", "XDG_STATE_HOME", "-u", "XDG_CACHE_HOME", "-u", "XDG_CONFIG_HOME"],
        env: { HOME: home, XDG_RUNTIME_DIR: runtime },
        prepare: (folder) => chownSync(folder, uid, uid),
        config: `[service.s]\n${command("shows-itself")}\n${allKinds('{ names = ["a/b"], mode = "0711" }')}`,
      });
      const { environment } = await itself(scene, "s");
      const own = ["run", ".local/state", ".cache", ".local/state/log", ".config"].map((base) =>
        join(home, base, "a/b"),
      );
      expect(KINDS.map((kind) => environment[`${kind.toUpperCase()}_DIRECTORY`])).toEqual(own);
      expect(own.map((path) => statSync(path).uid)).toEqual(own.map(() => uid));
      expect(own.map(modeOf)).toEqual(own.map(() => 0o711));
      await scene.act("s", "stop");
      expect(own.map((path) => existsSync(path))).toEqual([false, true, true, true, true]);
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});
