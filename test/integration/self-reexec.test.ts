import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { until } from "../../bench/lib/until.mjs";
import { startLoad } from "../../bench/load.mjs";
import type { SupervisorView } from "../../src/daemon/control/api.js";
import { ask } from "./ask.js";
import { command } from "./fixture.js";
import { buildKeeper } from "./keeper-build.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();
const times = 10;
const logLines = 500;

/** Workers that serve, one that the first connection starts, and one that logs. */
async function everything(o: { env?: Record<string, string>; prepare?: (directory: string) => unknown } = {}) {
  const port = await freePort();
  const scene = await start({
    ...o,
    config: `
      [socket.s]
      listen = ["tcp://127.0.0.1:${port}"]
      [service.web]
      ${command("serves-http")}
      sockets = ["s"]
      workers = 2
      [socket.later]
      listen = ["unix://later.sock"]
      [service.later]
      ${command("answers-pid")}
      sockets = ["later"]
      start = "connection"
      [service.loud]
      ${command("bursts", String(logLines))}
      log = "file:loud.log"`,
  });
  await scene.ready("web");
  await scene.line("loud", /waiting/);
  return { scene, port };
}

const keeperOf = (scene: Scene): number => scene.holdfast.keeperPid!;

/** What has to stay the same whatever becomes of a re-exec: sockets by their inodes, processes by their pids. */
async function inventory(scene: Scene) {
  const folder = `/proc/${keeperOf(scene)}/fd`;
  const open = readdirSync(folder).map((fd) => readlinkSync(`${folder}/${fd}`));
  return {
    sockets: open.filter((target) => target.startsWith("socket:")).sort(),
    descriptors: open.length,
    workers: [...(await scene.holdfast.workerPids("web")), ...(await scene.holdfast.workerPids("loud"))],
    supervisor: await scene.supervisorPid(),
    arguments: words(keeperOf(scene)).slice(words(keeperOf(scene)).indexOf("--")),
  };
}

function words(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
}

function programOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/exe`);
}

async function view(scene: Scene): Promise<SupervisorView> {
  return scene.holdfast.get("/v1/supervisor");
}

/** A connection that nobody waits for yet starts its worker: the armed start is still there, and works. */
async function startsLater(scene: Scene): Promise<void> {
  const answer = await ask({ path: join(scene.directory, "later.sock") });
  expect(answer).toBe(`${await scene.pid("later")}\n`);
}

describe("a keeper that is re-executed", () => {
  test("ten times in a row under load keeps pid, workers, sockets and armed starts, and no request fails", {
    timeout: 90_000,
  }, async () => {
    const { scene, port } = await everything();
    const before = await inventory(scene);
    const load = startLoad({ target: { host: "127.0.0.1", port }, rate: 300 });
    const kept = startLoad({ target: { host: "127.0.0.1", port }, rate: 100, connections: "kept", path: "/slow" });
    for (let i = 1; i <= times; i++) {
      expect(await scene.holdfast.reExec()).toMatchObject({ result: "done", reExecs: i });
      expect(await inventory(scene)).toEqual(before);
    }
    for (const { answered, failed, outcomes } of [await load.stop(), await kept.stop()]) {
      expect({ failed, outcomes }).toMatchObject({ failed: 0 });
      expect(answered).toBeGreaterThan(0);
    }
    expect((await view(scene)).keeper).toMatchObject({ reExecs: times, reExecutedAt: expect.any(String) });
    expect((await view(scene)).starts).toBe(1);
    await startsLater(scene);
    await scene.restart("web"); // Valves, drains and spawns through the keeper of now.
    await load.done;
  });

  test("tells of the ends of workers that meet it", async () => {
    const { scene } = await everything();
    for (let i = 0; i < times; i++) {
      const from = await scene.now();
      const [victim] = await scene.holdfast.workerPids("web");
      const done = scene.holdfast.reExec();
      process.kill(victim!, "SIGKILL");
      expect(await done).toMatchObject({ result: "done" });
      const { data } = await scene.event("worker-ended", "web", from);
      expect(data).toMatchObject({ pid: victim, end: { kind: "signalled", signal: 9 } });
      await scene.holdfast.act("web", { action: "reset" });
      await scene.ready("web");
    }
  });

  test("goes on as the program that has taken the place of its own", async () => {
    const build = join(import.meta.dirname, "../../build/Release/holdfast-keeper");
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-keeper-")));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const installed = join(folder, "holdfast-keeper");
    copyFileSync(build, installed);
    const { scene } = await everything({ env: { HOLDFAST_KEEPER_PATH: installed } });
    const before = await inventory(scene);
    copyFileSync(build, `${installed}.new`);
    renameSync(`${installed}.new`, installed);
    expect(programOf(keeperOf(scene))).toBe(`${installed} (deleted)`);

    const { stdout } = await scene.holdfast.cli("self", "reexec");
    expect(stdout).toMatch(new RegExp(`^the keeper \\(pid ${keeperOf(scene)}\\) was re-executed in \\d+ ms;`));
    expect(programOf(keeperOf(scene))).toBe(installed);
    expect(statSync(`/proc/${keeperOf(scene)}/exe`).ino).toBe(statSync(installed).ino);
    expect(await scene.holdfast.run("self", "status")).toMatch(/^re-execs +1, the last one .* ago/m);
    expect(await scene.holdfast.run("self", "reexec", "--to", build)).toContain("was re-executed");
    expect(programOf(keeperOf(scene))).toBe(build);
    expect(await inventory(scene)).toEqual(before);
  });
});

/** A keeper that, while it is tried, waits for a file `gate` where it runs. */
const waits = () =>
  buildKeeper("waits", {
    more: `
      #include <stdio.h>
      #include <string.h>
      #include <unistd.h>
      __attribute__((constructor)) static void wait_for_gate(void) {
        char line[64] = {0};
        FILE *file = fopen("/proc/self/cmdline", "r");
        size_t count = file == NULL ? 0 : fread(line, 1, sizeof line - 1, file);
        if (file != NULL) fclose(file);
        if (strlen(line) + 1 < count && strcmp(line + strlen(line) + 1, "--try-state") == 0)
          while (access("gate", F_OK) != 0) usleep(1000);
      }`,
  });

/** The process in which the keeper tries another program. */
function trialOf(keeper: number): number | undefined {
  const children = readFileSync(`/proc/${keeper}/task/${keeper}/children`, "utf8").trim().split(" ").map(Number);
  return children.find((pid) => words(pid)[1] === "--try-state");
}

describe("a supervisor that is killed", () => {
  test("at any moment of a re-exec leaves a keeper that goes on with it, and the next one takes over", {
    timeout: 60_000,
  }, async () => {
    const candidate = waits();
    const { scene } = await everything();
    const keeper = keeperOf(scene);
    const gate = join(scene.directory, "gate");
    const before = await inventory(scene);
    const own = programOf(keeper);
    const next = async (killed: number) => {
      await until("another supervisor", async () => (await scene.holdfast.answers()).pid !== killed);
      expect(await view(scene)).toMatchObject({ previousEnd: "was killed by SIGKILL" });
      expect(await inventory(scene)).toMatchObject({ workers: before.workers });
    };
    const moments: ((killed: number) => Promise<unknown>)[] = [
      // During the trial; it goes on while nobody is attached, and then while somebody else is.
      async (killed) => {
        process.kill(killed, "SIGKILL");
        writeFileSync(gate, "");
      },
      async (killed) => {
        process.kill(killed, "SIGKILL");
        await next(killed);
        writeFileSync(gate, "");
      },
      // When it is the other program already.
      async (killed) => {
        writeFileSync(gate, "");
        await until("the other program", () => programOf(keeper) === candidate, { everyMs: 0 });
        process.kill(killed, "SIGKILL");
      },
    ];
    for (const moment of moments) {
      rmSync(gate, { force: true });
      const supervisor = await scene.supervisorPid();
      const asked = scene.holdfast.reExec(candidate).catch(() => undefined);
      await until("the trial", () => trialOf(keeper) !== undefined);
      await moment(supervisor);
      await asked;
      await until("the other program", () => programOf(keeper) === candidate);
      await next(supervisor);
      expect(await scene.holdfast.reExec(own)).toMatchObject({ result: "done" });
      expect((await inventory(scene)).descriptors).toBe(before.descriptors);
    }
    expect((await view(scene)).keeper.reExecs).toBe(2 * moments.length);
    await startsLater(scene);
  });

  test("right after a re-exec leaves the log of its workers whole", async () => {
    const { scene } = await everything();
    const log = join(scene.directory, "loud.log");
    const worker = await scene.pid("loud");
    expect(await scene.holdfast.reExec()).toMatchObject({ result: "done" });
    process.kill(await scene.supervisorPid(), "SIGKILL");
    process.kill(worker, "SIGUSR1");
    const whole = Array.from({ length: logLines }, (_, line) => `${String(line).padStart(63, "0")}\n`).join("");
    await until("the log", () => readFileSync(log, "latin1").endsWith(whole.slice(-64)));
    expect(readFileSync(log, "latin1")).toBe(`waiting\n${whole}`);
  });
});

describe("a program that cannot take over", () => {
  const script = (scene: Scene, text: string): string => {
    const path = join(scene.directory, "candidate");
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  };
  const candidates: readonly { what: string; path: (scene: Scene) => string; says: string }[] = [
    {
      what: "nothing",
      path: () => "/nowhere",
      says: "/nowhere cannot be executed: no such file or directory (ENOENT)",
    },
    { what: "a folder", path: (scene) => scene.directory, says: "cannot be executed: permission denied (EACCES)" },
    {
      what: "/bin/true",
      path: () => "/bin/true",
      says: "ended with exit code 0, without a proof that it can take over",
    },
    { what: "/bin/false", path: () => "/bin/false", says: "ended with exit code 1, without a proof" },
    { what: "one that hangs", path: (scene) => script(scene, "sleep 1000"), says: "has not proved within 5 s" },
    { what: "one that crashes", path: (scene) => script(scene, "kill -SEGV $$"), says: "killed by SIGSEGV before it" },
    {
      what: "a keeper of another state",
      path: () => buildKeeper("other-state", { flags: ["-DSTATE_VERSION=99"] }),
      says: "reads version 99 of the keeper's state, and this keeper writes another one",
    },
    {
      what: "a keeper that fails when it is too late",
      path: () =>
        buildKeeper("gives-back", {
          takeover: ["-Dsignals_open=refuses"],
          more: "struct keeper; int refuses(struct keeper *k) { (void)k; return 5; }",
        }),
      says: "was executed, could not go on (i/o error (EIO)), and the program of before took everything back",
    },
  ];

  test("is refused in words, and nothing has changed", { timeout: 90_000 }, async () => {
    const { scene, port } = await everything();
    const before = { ...(await inventory(scene)), program: programOf(keeperOf(scene)) };
    const load = startLoad({ target: { host: "127.0.0.1", port }, rate: 100 });
    for (const { what, path, says } of candidates) {
      const { code, stdout, stderr } = await scene.holdfast.cli("self", "reexec", "--to", path(scene));
      expect({ code, stdout }, what).toEqual({ code: 1, stdout: "" });
      expect(stderr, what).toContain("failed: the keeper was not re-executed, and nothing has changed: ");
      expect(stderr, what).toContain(says);
      const now = { ...(await inventory(scene)), program: programOf(keeperOf(scene)) };
      expect(now, what).toEqual(before);
    }
    expect(await load.stop()).toMatchObject({ failed: 0 });
    expect((await view(scene)).keeper.reExecs).toBe(0);
    expect(scene.events.filter(({ type }) => type === "keeper-re-exec-refused")).toHaveLength(candidates.length);
    expect(await scene.holdfast.reExec()).toMatchObject({ result: "done", reExecs: 1 });
    await startsLater(scene);
  });

  test("is tried alone", async () => {
    const { scene } = await everything();
    const gate = join(scene.directory, "gate");
    const first = scene.holdfast.reExec(waits());
    await until("the trial", () => trialOf(keeperOf(scene)) !== undefined);
    expect(await scene.holdfast.reExec()).toMatchObject({
      result: "failed",
      message: expect.stringContaining("another re-exec is under way"),
    });
    writeFileSync(gate, "");
    expect(await first).toMatchObject({ result: "done", reExecs: 1 });
  });
});
