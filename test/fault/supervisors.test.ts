import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { root } from "../../bench/lib/programs.mjs";
import { gone } from "../../bench/lib/time-answer.mjs";
import { until } from "../../bench/lib/until.mjs";
import { isRunning } from "../integration/census.js";
import { command } from "../integration/fixture.js";
import { scenes } from "../integration/scene.js";
import { KeeperRun } from "./keeper-run.js";

const { start } = scenes();

describe("a supervisor that cannot work", () => {
  test("ends holdfast run with its exit code and its words", async () => {
    const copy = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-package-")));
    try {
      for (const part of ["bin", "dist", "package.json"])
        cpSync(join(root, part), join(copy, part), { recursive: true });
      mkdirSync(join(copy, "build"));
      for (const part of ["node_modules", "build/Release"]) symlinkSync(join(root, part), join(copy, part));
      writeFileSync(
        join(copy, "dist/bin/supervisor.js"),
        'process.stderr.write("nothing works\\n"); process.exit(23);',
      );
      const config = join(copy, "holdfast.toml");
      writeFileSync(config, `version = 1\n[supervisor]\ncontrol = "${join(copy, "control.sock")}"\n`);
      const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
        execFile(
          process.execPath,
          [join(copy, "bin/holdfast"), "run", "-c", config],
          { timeout: 20_000 },
          (error, _, text) => resolve({ code: error?.code, stderr: text }),
        );
      });
      expect(code).toBe(23);
      expect(stderr.match(/nothing works/g)).toHaveLength(5);
      expect(stderr).toMatch(/no supervisor has ever attached, and 5 have ended: exiting with code 23/);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });
});

describe("a supervisor that hangs", () => {
  test("is replaced after its watchdog, which self status tells, and its workers stay", async () => {
    const port = await freePort();
    const scene = await start({
      supervisor: 'watchdog = "1s"',
      config: `
        [socket.s]
        listen = ["tcp://127.0.0.1:${port}"]
        [service.web]
        ${command("answers-pid")}
        sockets = ["s"]
        ready = "notify"
        start = "boot"`,
    });
    await scene.ready("web");
    const worker = await scene.pid("web");
    const supervisor = await scene.supervisorPid();
    process.kill(supervisor, "SIGSTOP");
    await gone(supervisor);
    const { previousEnd, starts } = await scene.holdfast.answers();
    expect({ previousEnd, starts }).toEqual({
      previousEnd: "was silent for longer than its watchdog allows and was killed",
      starts: 2,
    });
    expect(await scene.holdfast.run("self", "status")).toMatch(/starts +2 \(the one before: was silent for longer/);
    expect(await scene.pid("web")).toBe(worker);
  });
});

describe("a stop while no supervisor can be started", () => {
  test("ends all workers within the grace, the stubborn ones by SIGKILL", async () => {
    const run = new KeeperRun({
      keeper: ["--grace", "300"],
      script: '[ -e broken ] && exit 1\nexec "$NODE" "$ROOT/dist/bin/supervisor.js" -c holdfast.toml',
      config: `
        [service.polite]
        ${command("logs-signals")}
        log = { to = "inherit" }
        [service.stubborn]
        command = ["/bin/sh", "-c", "trap '' TERM; exec sleep 3600"]`,
    });
    const supervisor = await run.supervisor();
    const pids = await until("two workers", async () => {
      const { services } = (await run.get("/v1/services")) as {
        services: { workers: { pid: number }[]; ready: number }[];
      };
      return services.every(({ ready }) => ready === 1) && services.map(({ workers }) => workers[0]!.pid);
    });
    await until("a polite worker that listens", () => run.lines.some((line) => line.startsWith("watching")));
    run.touch("broken");
    process.kill(supervisor.pid, "SIGKILL");
    await gone(supervisor.pid);
    run.kill("SIGTERM");
    const begun = performance.now();
    expect(await run.exit).toEqual({ code: 143, signal: null });
    // One grace for a supervisor to come, one for the workers.
    expect(performance.now() - begun).toBeGreaterThanOrEqual(600);
    expect(performance.now() - begun).toBeLessThan(3_000);
    expect(pids.filter(isRunning)).toEqual([]);
    expect(run.lines).toContain("SIGTERM");
  });
});
