import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Outcome } from "../../../src/daemon/control/api.js";
import { ControlFixture, openDescriptors } from "../control/control-fixture.js";
import { aFailure, aLine, anEvent, aService, aSocket, type FakeOperations } from "../control/fake-operations.js";
import { bin, readUntil, runBin, startBin } from "./cli-fixture.js";

let fixture: ControlFixture;
let operations: FakeOperations;
let before: string[];
const children: ReturnType<typeof startBin>[] = [];

beforeEach(() => {
  before = openDescriptors();
  fixture = new ControlFixture();
  operations = fixture.operations;
});

afterEach(async () => {
  await fixture.close();
  for (const child of children.splice(0)) expect(child.exitCode ?? child.signalCode).not.toBeNull();
  await expect.poll(openDescriptors).toEqual(before);
});

const run = (...words: string[]) => runBin(["--control", fixture.path, ...words]);
const json = async (...words: string[]) => JSON.parse((await run(...words, "-o", "json")).out);
function start(...words: string[]) {
  const child = startBin(["--control", fixture.path, ...words]);
  children.push(child);
  let err = "";
  child.stderr.on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<{ code: number | null; err: string }>((resolve) =>
    child.on("close", (code) => resolve({ code, err })),
  );
  return { child, ended };
}

describe("output that nobody takes", () => {
  test("is told, and fails the command", async () => {
    const full = openSync("/dev/full", "w");
    try {
      const child = spawn(process.execPath, [bin, "config", "schema"], { stdio: ["ignore", full, "pipe"] });
      const err = await readUntil(child.stderr!, /\n/);
      const [code] = await once(child, "close");
      expect([code, err]).toEqual([1, expect.stringContaining("the output cannot be written: ENOSPC")]);
    } finally {
      closeSync(full);
    }
  });
});

describe("the listing commands", () => {
  test("ls shows services and sockets as plain columns in a pipe", async () => {
    operations.serviceViews = [aService("web"), aService("echo", { phase: "waiting", ready: 0, workers: [] })];
    const { code, out, err } = await run("ls");
    expect([code, err]).toEqual([0, ""]);
    const lines = out.split("\n").map((line) => line.split(/ {2,}/));
    expect(lines[0]).toEqual(["SERVICE", "PHASE", "READY", "RESTARTS", "UPTIME", "PIDS", "SOCKETS"]);
    expect(lines[2]).toEqual(["echo", "waiting", "0/1", "0", "-", "-", "echo"]);
    expect(lines[4]?.[0]).toBe("SOCKET");
    expect(lines[5]).toEqual(["web", "tcp://127.0.0.1:8080", "bound", "0/4096", "web"]);
    expect(out).not.toContain("\x1b");
  });

  test("ls narrows to names, and says which are missing", async () => {
    operations.serviceViews = [aService("web-1"), aService("web-2"), aService("db")];
    operations.socketViews = [aSocket("web-1"), aSocket("db")];
    const { code, out, err } = await run("ls", "web-*", "bd", "-o", "json");
    expect(code).toBe(5);
    expect(err).toBe('holdfast: there is no service "bd"; did you mean "db"?\n');
    expect(JSON.parse(out)).toEqual({ services: operations.serviceViews.slice(0, 2), sockets: [aSocket("web-1")] });
  });

  test("write the views themselves as JSON and JSON lines", async () => {
    operations.eventViews = [anEvent(1), anEvent(2)];
    expect(await json("sockets")).toEqual(operations.socketViews);
    expect(await json("status", "web")).toEqual(operations.serviceViews[0]);
    expect(await json("status", "*")).toEqual(operations.serviceViews);
    expect(await json("self", "status")).toEqual(operations.supervisorView);
    const { out } = await run("events", "-o", "jsonl", "-n", "1");
    expect(out).toBe(`${JSON.stringify(anEvent(2))}\n`);
  });

  test("self upgrade waits for what the next supervisor says, and shows why one is refused", async () => {
    const upgrade = { id: "17", result: "done", message: "the supervisor was upgraded", pauseMs: 80 } as const;
    operations.supervisorView = { ...operations.supervisorView, upgrade };
    expect(await run("self", "upgrade", "--to", "next", "--timeout", "5s")).toEqual({
      code: 0,
      out: "the supervisor was upgraded\n",
      err: "",
    });
    expect(operations.upgraded).toEqual([["/next", 5_000]]);
    expect(await json("self", "upgrade")).toEqual(upgrade);
    const taken = { ...upgrade, result: "failed", message: "it ended" } as const;
    operations.supervisorView = { ...operations.supervisorView, upgrade: taken };
    expect(await run("self", "upgrade")).toEqual({ code: 1, out: "", err: "holdfast: failed: it ended\n" });
    operations.upgradeView = { result: "failed", message: "it would end web/1" };
    expect(await run("self", "upgrade")).toEqual({ code: 1, out: "", err: "holdfast: failed: it would end web/1\n" });
  });

  test("why explains the last failure", async () => {
    operations.serviceViews = [aService("web", { phase: "backoff", lastFailure: aFailure(), next: "another start" })];
    const { code, out } = await run("why", "web");
    expect(code).toBe(0);
    expect(out).toMatch(/step exec, ENOENT \(no such file or directory\).*\| last\nNext: another start\.\n$/s);
  });

  test("load nothing that they do not need", async () => {
    const folder = join(fixture.folder, "coverage");
    const { code } = await runBin(["--control", fixture.path, "ls"], { env: { NODE_V8_COVERAGE: folder } });
    expect(code).toBe(0);
    const files = readdirSync(folder).flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")).result);
    const bundles = files.map(({ url }: { url: string }) => url).filter((url: string) => url.includes("/dist/bin/"));
    const loaded = bundles.flatMap((url: string): string[] =>
      JSON.parse(readFileSync(new URL(`${url}.map`), "utf8")).sources.map((source: string) =>
        source.replace("../", ""),
      ),
    );
    expect(loaded.filter((module) => module.startsWith("cli/commands/"))).toEqual(["cli/commands/ls.js"]);
    expect(loaded.filter((module) => /node_modules\/(?!commander)|ancillary|daemon\/control/.test(module))).toEqual([]);
    rmSync(folder, { recursive: true });
  });
});

describe("the questions", () => {
  beforeEach(() => {
    const worker = aService("x").workers[0]!;
    operations.serviceViews = [
      aService("web"),
      aService("part", { phase: "degraded", instances: 2, ready: 1 }),
      aService("begun", { phase: "starting", ready: 0, workers: [{ ...worker, phase: "starting" }] }),
      aService("off", { phase: "stopped", desired: "stopped", ready: 0, workers: [{ ...worker, phase: "exited" }] }),
    ];
  });

  test.each([
    ["web", 0, 0],
    ["part", 0, 3],
    ["begun", 0, 3],
    ["off", 3, 3],
    ["none", 4, 4],
    ["*", 3, 3],
  ])("about %s are answered by exit codes", async (name, status, isReady) => {
    expect((await run("status", name)).code).toBe(status);
    const { code, out } = await run("is-ready", name);
    expect([code, out]).toEqual([isReady, ""]);
  });
});

describe("an action", () => {
  test.each([
    ["done", 0],
    ["unchanged", 0],
    ["failed", 1],
    ["superseded", 1],
    ["not-running", 7],
    ["timed-out", 150],
    ["rolled-back", 152],
  ] as const)("that ends as %s exits with %d and tells it in the right place", async (result, code) => {
    operations.outcome = (service): Outcome => ({ service, result, message: "so it is", durationMs: 3 });
    const table = await run("restart", "web");
    expect(table.code).toBe(code);
    expect(code === 0 ? table.out : table.err).toContain("web: so it is");
    expect(code === 0 ? table.err : table.out).toBe("");
    expect(await json("restart", "web")).toMatchObject({ service: "web", result });
  });

  test("on several names tells each, and the worst one is the exit code", async () => {
    operations.serviceViews = [aService("a"), aService("b"), aService("c")];
    operations.outcome = (service) => {
      const result = service === "b" ? "rolled-back" : "done";
      return { service, result, message: "told", durationMs: 1, ...(service === "b" ? { failure: aFailure() } : {}) };
    };
    const { code, out, err } = await run("restart", "*", "nowhere");
    expect(code).toBe(152);
    expect(out.match(/^\w: told/gm)?.sort()).toEqual(["a: told", "c: told"]);
    expect(err).toContain('there is no service "nowhere"');
    expect(err).toMatch(/rolled back: b: told\n {2}\| first\n {2}\| last\n/);
    expect(operations.acted).toHaveLength(3);
  });

  test("on nothing exits with 5 and does nothing", async () => {
    expect(await run("stop", "job-*")).toEqual({ code: 5, out: "", err: 'holdfast: no service matches "job-*"\n' });
    expect(operations.acted).toEqual([]);
  });

  test.each([
    [["start", "web"], { action: "start" }],
    [["stop", "web"], { action: "stop" }],
    [["reload", "web"], { action: "reload" }],
    [["reset", "web"], { action: "reset" }],
    [["restart", "web"], { action: "restart", hard: false }],
    [["restart", "web", "--hard"], { action: "restart", hard: true }],
    [["scale", "web=4"], { action: "scale", workers: 4 }],
    [["scale", "*=2", "web=5"], { action: "scale", workers: 5 }],
    [["signal", "web", "hup"], { action: "signal", signal: "SIGHUP" }],
    [["signal", "web", "term", "--left"], { action: "signal", signal: "SIGTERM", to: "left-behind" }],
    [["signal", "web", "10"], { action: "signal", signal: "SIGUSR1" }],
  ])("%j asks for %j", async (words, action) => {
    expect((await run(...words)).code).toBe(0);
    expect(operations.acted).toEqual([{ service: "web", action }]);
  });

  test("that takes longer than --timeout exits with 150 and goes on", async () => {
    operations.outcome = () => new Promise(() => {});
    const { code, err } = await run("restart", "web", "--timeout", "50ms");
    expect(code).toBe(150);
    expect(err).toContain("not complete after 50ms; it goes on");
  });

  test("says when the supervisor ends before it answers", async () => {
    let begun: () => void = () => {};
    const began = new Promise<void>((resolve) => {
      begun = resolve;
    });
    operations.outcome = () => {
      begun();
      return new Promise(() => {});
    };
    const { ended } = start("stop", "web");
    await began;
    await fixture.replaceServer();
    const { code, err } = await ended;
    expect(code).toBe(151);
    expect(err).toContain("whether stop of web is complete is not known");
  });

  test("that Ctrl-C ends says that it goes on", async () => {
    let begun: () => void = () => {};
    const began = new Promise<void>((resolve) => {
      begun = resolve;
    });
    operations.outcome = () => {
      begun();
      return new Promise(() => {});
    };
    const { child, ended } = start("restart", "web");
    await began;
    child.kill("SIGINT");
    expect(await ended).toEqual({ code: 130, err: "holdfast: web: it goes on in the supervisor\n" });
  });
});

describe("wait", () => {
  test("exits with 0 once it is reached and with 150 when the time is over", async () => {
    expect((await run("wait", "web", "--for", "ready", "--timeout", "5s")).code).toBe(0);
    operations.wait = async () => "timed-out";
    const { code, err } = await run("wait", "web", "--for", "stopped", "--timeout", "20ms");
    expect(code).toBe(150);
    expect(err).toContain("web is not stopped after 20ms");
  });

  test("goes on with the next supervisor", async () => {
    let begun: () => void = () => {};
    const began = new Promise<void>((resolve) => {
      begun = resolve;
    });
    operations.wait = () => {
      begun();
      return new Promise(() => {});
    };
    const { ended } = start("wait", "web");
    await began;
    operations.wait = async () => "reached";
    await fixture.replaceServer();
    expect(await ended).toEqual({ code: 0, err: "" });
  });
});

describe("logs and events", () => {
  test("show the last lines, of several services in the order of time", async () => {
    operations.serviceViews = [aService("a"), aService("b")];
    const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`;
    operations.lines = [
      aLine("one", { service: "a", instance: "a/1", at: at(1) }),
      aLine("three", { service: "a", instance: "a/1", at: at(3) }),
      aLine("two", { service: "b", instance: "b/1", at: at(2) }),
    ];
    operations.dropped = 3;
    const { out, err } = await run("logs", "*", "-n", "2", "--raw");
    expect(out).toBe("two\nthree\n");
    expect(err).toContain("b: 3 older lines are no longer in memory");
    expect(err).not.toContain("a: 3"); // As many as were asked for came.
    expect((await run("logs", "b")).out).toBe(`${at(2)} b/1 | two\n`);
  });

  test("keep the order of a service's lines where the clock was set back", async () => {
    operations.serviceViews = [aService("a"), aService("b")];
    const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`;
    operations.lines = [
      aLine("one", { service: "a", instance: "a/1", at: at(5) }),
      aLine("two", { service: "a", instance: "a/1", at: at(1) }),
      aLine("three", { service: "b", instance: "b/1", at: at(6) }),
    ];
    expect((await run("logs", "*", "--raw")).out).toBe("one\ntwo\nthree\n");
  });

  test("-f shows what comes, and Ctrl-C ends it quietly with 130", async () => {
    operations.lines = [aLine("before")];
    const { child, ended } = start("logs", "web", "-f", "--raw");
    expect(await readUntil(child.stdout, /\n/)).toBe("before\n");
    operations.emitLine(aLine("after", { at: "2026-01-02T03:04:06.000Z" }));
    expect(await readUntil(child.stdout, /\n/)).toBe("after\n");
    child.kill("SIGINT");
    expect(await ended).toEqual({ code: 130, err: "" });
    await operations.followers(0);
  });

  test("-f goes on with the next supervisor, says so, and repeats nothing", async () => {
    operations.eventViews = [anEvent(1)];
    const { child, ended } = start("events", "-f", "-o", "jsonl");
    await readUntil(child.stdout, /\n/);
    operations.eventViews.push(anEvent(2, { at: "2026-01-02T03:04:06.000Z", message: "while away" }));
    await fixture.replaceServer();
    expect(await readUntil(child.stdout, /\n/)).toContain("while away");
    child.kill("SIGINT");
    const { code, err } = await ended;
    expect(code).toBe(130);
    expect(err).toMatch(/connection to the supervisor ended.*\n.*connected again\n$/);
    await operations.followers(0);
  });

  test("-f shows what another supervisor tells, also where the clock was set back since", async () => {
    operations.eventViews = [anEvent(1)];
    const { child, ended } = start("events", "-f", "-o", "jsonl");
    await readUntil(child.stdout, /\n/);
    operations.supervisorView = { ...operations.supervisorView, starts: operations.supervisorView.starts + 1 };
    operations.eventViews = [anEvent(1, { at: "2020-01-01T00:00:00.000Z", message: "a year before" })];
    await fixture.replaceServer();
    expect(await readUntil(child.stdout, /\n/)).toContain("a year before");
    child.kill("SIGINT");
    expect((await ended).code).toBe(130);
    await operations.followers(0);
  });

  test("-f says how much is missing when it was too slow, and goes on", async () => {
    operations.lines = [aLine("first")];
    const { child, ended } = start("logs", "web", "-f", "--raw");
    await readUntil(child.stdout, /\n/);
    child.kill("SIGSTOP");
    for (let i = 0; i < 4000; i += 1) operations.emitLine(aLine("x".repeat(1024), { at: "2026-01-02T03:04:06.000Z" }));
    child.kill("SIGCONT");
    child.stdout.resume();
    await readUntil(child.stderr, /entries are missing here/);
    await operations.followers(1);
    operations.emitLine(aLine("the end", { at: "2026-01-02T03:04:07.000Z" }));
    await readUntil(child.stdout, /the end\n$/);
    child.kill("SIGINT");
    const { code, err } = await ended;
    expect(code).toBe(130);
    expect(err).toMatch(/^holdfast: \d+ entries are missing here: they came faster than they were read\n$/);
    await operations.followers(0);
  });

  test("end quietly when nobody reads on", async () => {
    operations.lines = [aLine("first")];
    const { child, ended } = start("logs", "web", "-f");
    await readUntil(child.stdout, /\n/);
    child.stdout.destroy();
    operations.emitLine(aLine("second", { at: "2026-01-02T03:04:06.000Z" }));
    expect(await ended).toEqual({ code: 0, err: "" });
    await operations.followers(0);
  });
});
