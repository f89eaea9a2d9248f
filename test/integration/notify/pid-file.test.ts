import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isRunning } from "../census.js";
import { command } from "../fixture.js";
import { type Scene, scenes } from "../scene.js";
import { replaceSupervisor } from "./saying.js";

const { start } = scenes();

const daemon = (file: string, more = "", code = "0") => `
  [service.s]
  ${command("forks-away", file, code)}
  pid_file = "the.pid"
  ${more}`;

/** 0: the file is not there, or not written yet. */
const named = (scene: Scene): number => {
  const path = join(scene.directory, "the.pid");
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
};

describe("a program that goes into the background and names itself in a file", () => {
  test("is ready then, survives the supervisor, and ends and is stopped as that process", async () => {
    const scene = await start({ config: daemon("the.pid") });
    await scene.ready("s");
    const pid = await scene.pid("s");
    expect(named(scene)).toBe(pid);
    expect(await scene.holdfast.act("s", { action: "scale", workers: 2 })).toMatchObject({
      result: "failed",
      message: "s cannot have 2 workers: they would write the same pid_file; let it run in the foreground",
    });
    const { workers, readiness } = await scene.service("s");
    expect(readiness).toBe("pid-file");
    expect(workers).toMatchObject([{ pid, startedAs: expect.any(Number), phase: "ready" }]);
    await replaceSupervisor(scene);
    await scene.ready("s");
    expect(await scene.pid("s")).toBe(pid);
    process.kill(pid, "SIGKILL");
    await expect.poll(async () => (await scene.service("s")).restarts, { timeout: 20_000 }).toBe(1);
    await scene.ready("s");
    const { lastFailure } = await scene.service("s");
    expect(lastFailure).toMatchObject({ code: "killed", signal: "SIGKILL" });
    const second = await scene.pid("s");
    expect(named(scene)).toBe(second);
    expect(await scene.act("s", "stop")).toMatchObject({ result: "done" });
    expect(isRunning(second)).toBe(false);
  });

  test("is not ready in time if it never does", async () => {
    const scene = await start({ config: daemon("-", 'ready.timeout = "1s"\nrestart = "never"') });
    await scene.event("ready-timeout", "s");
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "exited", code: 0 }, reason: "ready-timeout", forced: true });
  });

  test("has failed if its first process does", async () => {
    const scene = await start({ config: daemon("the.pid", 'restart = "never"', "3") });
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "exited", code: 3 } });
  });

  test("has ended if nothing is left of it", async () => {
    const scene = await start({
      config: '[service.s]\ncommand = "true"\npid_file = "the.pid"\nrestart = "never"',
    });
    const ended = await scene.event("worker-ended", "s");
    expect(ended.data).toMatchObject({ end: { kind: "exited", code: 0 } });
    expect(ended.message).toMatch(/ exited with code 0: pid_file .*the\.pid was not written$/);
    expect(existsSync(join(scene.directory, "the.pid"))).toBe(false);
  });
});

const nginx = "/usr/sbin/nginx";

/** In the background, as its package runs it; all its files in the folder. */
function nginxConf(directory: string): void {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
  writeFileSync(
    join(directory, "nginx.conf"),
    `daemon on; user root; worker_processes 1; pid the.pid; error_log error.log; events {}
     http { access_log off; ${temporary.join(" ")}
       server { listen unix:${directory}/web.sock; location / { return 200 "served\n"; } } }`,
  );
}

// A program as it is: it leaves the session, writes over its environment, and its successor is a child of the one before.
describe.skipIf(!existsSync(nginx))("nginx in the background (Debian package nginx)", () => {
  test("is followed to the binary that it has started on SIGUSR2", async () => {
    const scene = await start({
      config: `
        [service.s]
        command = ["sh", "-c", "exec ${nginx} -p $PWD -c nginx.conf"]
        pid_file = "the.pid"
        stop = "SIGQUIT"`,
      prepare: nginxConf,
    });
    const ask = () => execFileSync("curl", ["-sS", "--unix-socket", join(scene.directory, "web.sock"), "http://x/"]);
    await scene.ready("s");
    const first = await scene.pid("s");
    expect(String(ask())).toBe("served\n");
    process.kill(first, "SIGUSR2");
    let second = 0;
    const another = () => {
      second = named(scene);
      return second > 0 && second !== first;
    };
    await expect.poll(another, { timeout: 20_000 }).toBe(true);
    process.kill(first, "SIGQUIT");
    await expect.poll(() => scene.pid("s"), { timeout: 20_000 }).toBe(second);
    expect(isRunning(first)).toBe(false);
    expect(await scene.service("s")).toMatchObject({ restarts: 0, phase: "ready" });
    expect(String(ask())).toBe("served\n");
    expect(await scene.act("s", "stop")).toMatchObject({ result: "done" });
    expect(isRunning(second)).toBe(false);
  });
});
