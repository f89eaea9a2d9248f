import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { command } from "./fixture.js";
import { type Itself, itself } from "./itself.js";
import { type Scene, type SceneOptions, scenes } from "./scene.js";

const { start } = scenes();
const isRoot = process.getuid?.() === 0;
const nobody = Number(execFileSync("id", ["-u", "nobody"]));

/** What a worker with these lines in its configuration says of itself. */
async function worker(lines: string, more: Partial<SceneOptions> = {}): Promise<{ scene: Scene; self: Itself }> {
  const scene = await start({ ...more, config: `[service.worker]\n${command("shows-itself")}\n${lines}` });
  return { scene, self: await itself(scene, "worker") };
}

describe("a worker of root with an identity of its own", () => {
  test.runIf(isRoot)("runs as the user, with its group and its groups", async () => {
    const { scene, self } = await worker('user = "nobody"');
    expect(self).toMatchObject({ uids: [nobody, nobody, nobody], environment: { USER: "nobody", LOGNAME: "nobody" } });
    const gid = Number(execFileSync("id", ["-g", "nobody"]));
    expect(self.gids).toEqual([gid, gid, gid]);
    expect(self.groups).toEqual([gid]);
    expect(self.environment.HOME).toBe(String(execFileSync("getent", ["passwd", "nobody"])).split(":")[5]);
    expect(self.directory).toBe(scene.directory);
  });

  test.runIf(isRoot)("runs with the group and the groups that are named", async () => {
    const { self } = await worker('user = "65533"\ngroup = "daemon"\ngroups = ["adm", "4242"]');
    const daemon = Number(String(execFileSync("getent", ["group", "daemon"])).split(":")[2]);
    const adm = Number(String(execFileSync("getent", ["group", "adm"])).split(":")[2]);
    expect(self.uids).toEqual([65533, 65533, 65533]);
    expect(self.gids).toEqual([daemon, daemon, daemon]);
    expect(self.groups).toEqual([daemon, adm, 4242]);
  });

  test.runIf(isRoot)("gets a priority that only root may give, before it is somebody else", async () => {
    const { self } = await worker('nice = -5\nuser = "nobody"\nlimits = { nofile = "100:200" }');
    expect(self).toMatchObject({ nice: -5, uids: [nobody, nobody, nobody], limits: { nofile: [100, 200] } });
  });
});

describe("a worker", () => {
  test("has umask, priority, limits and folder as configured", async () => {
    const { scene, self } = await worker(
      `umask = "0027"
       nice = 5
       oom_score_adjust = 300
       limits = { nofile = "256:1024", core = 0, nproc = "1000:2000" }
       working_directory = "home"`,
      { prepare: (directory) => mkdirSync(join(directory, "home")) },
    );
    expect(self).toMatchObject({
      umask: 0o027,
      nice: 5,
      oom_score_adjust: 300,
      limits: { nofile: [256, 1024], core: [0, 0], nproc: [1000, 2000] },
      directory: join(scene.directory, "home"),
      no_new_privileges: "1",
    });
  });

  test("without any of that has the defaults, and the limits that holdfast was started with", async () => {
    const { scene, self } = await worker("no_new_privileges = false", {
      prefix: ["/bin/sh", "-c", 'umask 077; ulimit -n 512; exec "$@"', "sh"],
    });
    expect(self).toMatchObject({ umask: 0o022, nice: 0, no_new_privileges: "0", directory: scene.directory });
    expect(self.limits.nofile).toEqual([512, 512]);
    expect(self.uids[0]).toBe(process.getuid?.());
  });

  test("gets a clean environment, and says what is its own", async () => {
    const { self, scene } = await worker("", { env: { SECRET: "of holdfast", TZ: "Asia/Tokyo", LISTEN_FDS: "7" } });
    const { TEST_MARK, INVOCATION_ID, NOTIFY_SOCKET, ...environment } = self.environment;
    expect(INVOCATION_ID).toMatch(/^[0-9a-f]{32}$/);
    expect(NOTIFY_SOCKET).toMatch(/^[@/]/);
    const inherited = ["PATH", "LANG", "TZ", "HOME", "USER", "LOGNAME", "SHELL"];
    const own = Object.fromEntries(Object.entries(environment).filter(([name]) => !inherited.includes(name)));
    // Python itself adds LC_CTYPE where no locale is set (PEP 538).
    delete own.LC_CTYPE;
    expect(own).toEqual({
      HOLDFAST_SERVICE: "worker",
      HOLDFAST_WORKER: "worker/1",
      HOLDFAST_GENERATION: "1",
      HOLDFAST_SUPERVISOR: scene.holdfast.control,
    });
    expect(environment).toMatchObject({ TZ: "Asia/Tokyo", PATH: process.env.PATH });
  });

  test("with inherit_env gets the environment of holdfast, without what belongs to holdfast itself", async () => {
    const { self } = await worker("inherit_env = true", {
      env: { SHARED: "with workers", NOTIFY_SOCKET: "/of/somebody/else", LISTEN_FDNAMES: "x", HOLDFAST_CONTROL: "/x" },
    });
    expect(self.environment).toMatchObject({ SHARED: "with workers", HOLDFAST_SERVICE: "worker" });
    expect(self.environment.NOTIFY_SOCKET).not.toBe("/of/somebody/else");
    for (const name of ["LISTEN_FDNAMES", "HOLDFAST_CONTROL", "HOLDFAST_KEEPER_FD"]) {
      expect(self.environment).not.toHaveProperty(name);
    }
  });

  test("takes variables from files, later ones first, and its own env before all", async () => {
    const { self } = await worker('env_files = ["one.env", "?missing.env", "two.env"]\nenv = { C = "env" }', {
      prepare: (directory) => {
        writeFileSync(join(directory, "one.env"), "# a comment\nA=one\nB=one\nC=one\n");
        writeFileSync(join(directory, "two.env"), 'B="two words"\nC=two\n');
      },
    });
    expect(self.environment).toMatchObject({ A: "one", B: "two words", C: "env" });
  });

  test("whose environment file is missing is not started, and is once the file is there", async () => {
    const scene = await start({
      config: `
        [service.worker]
        ${command("shows-itself")}
        env_files = ["late.env"]
        restart = { backoff = { initial = "50ms", max = "100ms" }, limit = { starts = 1000, interval = "1s" } }`,
    });
    await scene.event("start-delayed", "worker");
    const { lastFailure } = await scene.service("worker");
    expect(lastFailure).toMatchObject({ code: "start-failed", stage: "prepare", errno: "ENOENT" });
    expect(lastFailure?.message).toContain("late.env");
    writeFileSync(join(scene.directory, "late.env"), "LATE=yes\n");
    const self = await itself(scene, "worker");
    expect(self.environment).toMatchObject({ LATE: "yes" });
  });
});
